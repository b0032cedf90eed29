"""Every use of the search options is made from the one table: flags, HTTP parameters, OpenAPI and the reference."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import click
import pytest

from clipita.cli import search as search_command
from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.search.options import SEARCH, SearchOptions, given_options
from clipita.option_table import options
from clipita.serve.query_string import OPTIONS, PARAMETERS, from_json, from_query_string
from clipita.serve.schema import description

PUBLIC = [name for name, entry in SEARCH.items() if not entry.inside]


def test_each_option_has_a_meaning_and_a_type() -> None:
    assert list(SEARCH) == list(SearchOptions.__annotations__)
    for name, entry in SEARCH.items():
        assert entry.help.endswith("."), name
        assert entry.hint is not None, name


def test_the_settings_are_the_same_options() -> None:
    for name, entry in options(SearchConfig).items():
        if name in ("weight_known", "weight_unknown"):
            # The two ends of `weight`, which one search sets to a number.
            continue
        assert (SEARCH[name].help, SEARCH[name].default) == (entry.help, entry.default), name
        assert (SEARCH[name].ge, SEARCH[name].gt, SEARCH[name].le) == (entry.ge, entry.gt, entry.le), name


@pytest.mark.parametrize("name", PUBLIC)
def test_an_option_is_a_flag_a_parameter_and_a_property(name: str) -> None:
    flags = {flag.name: flag for flag in search_command.command.params if isinstance(flag, click.Option)}
    if name in search_command.NOT_SHOWN:
        assert name not in flags
    else:
        assert (flags[name].help or "").startswith(SEARCH[name].help)
    assert name in OPTIONS
    paths = description()["paths"]["/v1/search"]
    post = paths["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert post[name]["description"] == SEARCH[name].help
    if name != "filters":
        parameter = SEARCH[name].one or name
        assert PARAMETERS[parameter].name == name
        get = {entry["name"]: entry for entry in paths["get"]["parameters"]}
        assert get[parameter]["description"] == SEARCH[name].help


def test_the_reference_lists_every_option() -> None:
    pytest.importorskip("mkdocs", reason="install the dependency group `docs`")
    file = Path(__file__).parents[3] / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate", file)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    rows = [line.split("|")[1].strip(" `") for line in generate.search_options().splitlines() if line.startswith("| `")]
    assert rows == list(SEARCH)


@pytest.mark.parametrize("name", sorted(set(SEARCH) - set(PUBLIC)))
def test_an_inside_option_is_for_python_only(name: str) -> None:
    assert name not in OPTIONS
    assert name not in [flag.name for flag in search_command.command.params]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ([("size", "5"), ("weight", "0.5")], {"size": 5, "weight": 0.5}),
        ([("facet", "brand"), ("facet", "colour")], {"facets": ["brand", "colour"]}),
        ([("explain", "true"), ("sort", "-price")], {"explain": True, "sort": ["-price"]}),
    ],
)
def test_both_requests_give_the_same_options(query: list[tuple[str, str]], body: dict[str, Any]) -> None:
    assert from_query_string(query) == from_json(body) == body


def test_an_option_that_is_none_is_not_given_and_an_unknown_one_is_refused() -> None:
    assert given_options({"size": None, "k": 10}) == {"k": 10}
    with pytest.raises(UsageError, match="no option 'sise'") as caught:
        given_options({"sise": 3})
    assert caught.value.hint == "Did you mean size?"
