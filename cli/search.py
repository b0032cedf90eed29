"""`clipita search`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.catalogue.product import path_text
from clipita.cli import console
from clipita.cli.common import (
    check_targets,
    config_option,
    device_option,
    flags,
    index_option,
    json_option,
    model_option,
    url_option,
    write,
)
from clipita.errors import UsageError
from clipita.opensearch.search.options import SEARCH

if TYPE_CHECKING:
    from clipita.opensearch.search.results import Hit, SearchPage

NOT_SHOWN = ("highlight", "variants", "thumbnails")
"""Options without a flag, as the terminal cannot show them."""
BOUNDS = {"<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}


@click.command("search")
@click.argument("query", required=False)
@flags(SEARCH, *(name for name, entry in SEARCH.items() if not entry.inside and name not in NOT_SHOWN))
@model_option
@click.option(
    "--html", "html_file", metavar="FILE", type=click.Path(path_type=Path), help="Page to write, with images."
)
@index_option
@url_option
@device_option
@json_option
@config_option
def command(
    query: str | None,
    filters: tuple[str, ...],
    model: Path | None,
    html_file: Path | None,
    index: str | None,
    url: str | None,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
    **options: Any,
) -> None:
    """Search the index for QUERY, a category's name or free text.

    Modes: lexical (BM25 alone), vector (the model alone), hybrid (both, fused).
    A boost multiplies the score by 1 + weight * signal: popularity:FIELD:WEIGHT:HALF, stock:FIELD:WEIGHT,
    recency:FIELD:WEIGHT:DAYS, margin:FIELD:WEIGHT:LOW:HIGH.

    \b
    Example:
      clipita search "running shoes"
      clipita search kurtas --filter brand=Fabindia --filter 'price<=80' --facet brand --page 2
      clipita search --category "Apparel > Topwear > Kurtas" --sort price
      clipita search kettles --mode lexical --json
      clipita search kurtas --boost stock:in_stock:0.3 --explain
      clipita search kurtas --facet colour --html kurtas.html
    """
    check_targets(None, html_file)
    if query is None and options["category"] is None:
        raise UsageError("There is nothing to search for.", hint="Give QUERY, or --category.")
    settings = config.load(config_file)
    cluster = config.override(settings.opensearch, url=url, index=index)
    from clipita.opensearch.search.client import ProductSearch

    needs_model = (options["mode"] or settings.search.mode) != "lexical" and options["category"] is None
    bundle = (model or settings.export.bundle) if needs_model else None
    given = settings.given.get("search")
    search = ProductSearch(None, cluster.index, bundle, given, cluster, device=device or settings.ingest.device)
    options = {name: value for name, value in options.items() if value != ()}
    found = search(query, filters=parse_filters(filters), thumbnails=html_file is not None, **options)
    for warning in found.remarks:
        console.note(warning)
    if html_file is not None:
        from clipita.opensearch.search.page_html import render

        write(html_file, render(found, cluster.index).encode())
        console.note(f"The page is in {html_file}.")
    if as_json:
        console.print_json(found.to_json())
    else:
        _print(found)


def parse_filters(texts: tuple[str, ...]) -> dict[str, Any]:
    """`brand=Nike` and `price<=80` as ProductSearch takes them; values of one field are alternatives."""
    filters: dict[str, Any] = {}
    for text in texts:
        match = re.fullmatch(r"([^<>=]+)(<=|>=|=|<|>)(.+)", text)
        if match is None:
            raise UsageError(f"{text!r} is not a filter.", hint="Write brand=Nike, price<=80 or price>20.")
        name, sign, value = match[1].strip(), match[2], match[3].strip()
        present = filters.setdefault(name, [] if sign == "=" else {})
        if isinstance(present, list) != (sign == "="):
            raise UsageError(f"{name} has both a value and a bound.", hint="Use either = or <=, >=, <, >.")
        if isinstance(present, list):
            present.append(value)
        else:
            present[BOUNDS[sign]] = value
    return filters


def _print(found: SearchPage) -> None:
    groups = "" if found.groups is None else f" in {found.groups:,} groups"
    caption = f"{found.total:,} products{groups}, {found.mode}, page {found.page}, {found.took_ms} ms"
    _print_hits(found.hits, (found.page - 1) * found.size + 1, caption)
    if found.also_total is not None:
        _print_hits(found.also, 1, f"{found.also_total:,} products from elsewhere that the model places here too")
    if found.understood:
        click.echo("understood: " + ", ".join(f"{part.field} {_printable(part.value)}" for part in found.understood))
    for name, values in found.facets.items():
        click.echo(f"{name}: " + ", ".join(f"{_printable(str(entry.value))} ({entry.count:,})" for entry in values))
    if found.nearest:
        console.note("The nearest categories: " + "; ".join(path_text(path) for path in found.nearest) + ".")
    if found.cursor is not None:
        console.note(f"The next page: --cursor {found.cursor}")


def _print_hits(hits: Sequence[Hit], first: int, caption: str) -> None:
    why = ("why",) if any(hit.explanation for hit in hits) else ()
    rows = []
    for rank, hit in enumerate(hits, start=first):
        score = "" if hit.score is None else f"{hit.score:.3f}"
        explained = (hit.explanation.text(),) if hit.explanation else ()
        price = hit.source.get("price")
        cells = (hit.id, hit.title or "", path_text(hit.category_path), "" if price is None else price)
        rows.append((rank, score, *explained, *cells))
    columns = ("", "score", *why, "id", "title", "category", "price")
    console.table(columns, rows, numbers=("", "score", "price"), caption=caption)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
