"""The analyzers of an index that clipita makes, by the language of its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from clipita.errors import ConfigError
from clipita.languages import COMPOUNDING, ENGLISH, Filter, LanguageConfig, language_of
from clipita.opensearch.cluster.errors import guarded
from clipita.word_files import read_compounds

TEXT_FIELDS = ("title", "attributes_text")
TEXT = "clipita_text"
"""Reads the texts of products."""
SEARCH = "clipita_search"
"""Reads queries where they are read in another way than texts: with synonyms, or without taking compounds apart."""


def text_field(config: LanguageConfig) -> dict[str, Any]:
    """The mapping of a text field."""
    if config.language == ENGLISH:
        return {"type": "text", "analyzer": ENGLISH}
    return {"type": "text", "analyzer": TEXT, **({"search_analyzer": SEARCH} if config.compounds else {})}


def analysis(config: LanguageConfig) -> dict[str, Any]:
    """`analysis` of the index's settings, which is empty for English.

    With a list of compounds they are taken apart in texts alone: "Schuhe" finds "Kinderschuhe", while "Kinderschuhe"
    does not find all shoes.

    Raises:
        ConfigError: an unknown language, or one whose compounds cannot be taken apart.
        UsageError: the list of compounds cannot be used, see `read_compounds`.
    """
    language_of(config.language)
    if config.compounds is None:
        return {} if config.language == ENGLISH else _settings({TEXT: chain(config.language)}, config.language)
    if config.language not in COMPOUNDING:
        raise ConfigError(
            f"Compounds of the language {config.language} are not taken apart.",
            hint=f"Leave `compounds` out, or set language to one of {', '.join(COMPOUNDING)}.",
        )
    apart: Filter = {
        "type": "dictionary_decompounder", "word_list": read_compounds(config.compounds), "only_longest_match": True
    }  # fmt: skip
    plain = chain(config.language)
    # After lower case, which the list is in, and before anything that changes letters.
    return _settings({TEXT: [plain[0], apart, *plain[1:]], SEARCH: plain}, config.language)


def check_plugin(client: OpenSearch, name: str) -> None:
    """Refuse a language that this cluster cannot read.

    Raises:
        ConfigError: an unknown language, or one of a plugin that the cluster lacks.
    """
    plugin = language_of(name).plugin
    if not plugin:
        return
    with guarded(client):
        present = {row["component"] for row in client.cat.plugins(format="json", h="component")}
    if plugin not in present:
        raise ConfigError(
            f"The language {name} needs the plugin {plugin}, which this cluster lacks.",
            hint=f"Install it on every node: bin/opensearch-plugin install {plugin}",
        )


def searched_with(language: str, synonyms: Sequence[str]) -> dict[str, Any]:
    """`analysis` with the analyzer of queries that knows synonyms, lines in Solr's format.

    They come last, so that a phrase in any inflection is found in the rules.
    """
    rules: Filter = {"type": "synonym_graph", "synonyms": list(synonyms)}
    return _settings({SEARCH: [*chain(language), rules]}, language)


def chain(language: str) -> list[Filter]:
    """The filters of a language. That of English is as OpenSearch has it; any other ends with ASCII folding."""
    filters = language_of(language).filters
    return [*filters] if language == ENGLISH else [*filters, "asciifolding"]


def _settings(analyzers: Mapping[str, Sequence[Filter]], language: str) -> dict[str, Any]:
    facts = language_of(language)
    filters: dict[str, Filter] = {}
    built: dict[str, Any] = {}
    for analyzer, chain in analyzers.items():
        names = []
        for entry in chain:
            if isinstance(entry, str):
                names.append(entry)
                continue
            name = next((name for name, known in filters.items() if known == entry), f"clipita_{entry['type']}")
            if filters.setdefault(name, entry) != entry:
                name = f"{name}_{len(filters)}"
                filters[name] = entry
            names.append(name)
        built[analyzer] = {"type": "custom", "tokenizer": facts.tokenizer, "filter": names}
        if facts.zero_width:
            built[analyzer]["char_filter"] = ["clipita_zero_width"]
    found = {"analyzer": built, "filter": filters}
    if facts.zero_width:
        found["char_filter"] = {"clipita_zero_width": {"type": "mapping", "mappings": ["\\u200C=>\\u0020"]}}
    return found
