"""`clipita search`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.files import check_targets, write
from clipita.cli.options import config_option, device_option, index_option, json_option, url_option
from clipita.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from clipita.opensearch.results import SearchPage

BOUNDS = {"<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}


@click.command("search")
@click.argument("query")
@click.option("--mode", type=click.Choice(["lexical", "vector", "hybrid"]), help="Default hybrid.")
@click.option("--filter", "filters", multiple=True, metavar="F", help="brand=Nike, price<=80, ...; may be repeated.")
@click.option("--facet", "facets", multiple=True, metavar="FIELD", help="Count this field's values; may be repeated.")
@click.option("--page", type=click.IntRange(1), default=1, help="Page, from 1.")
@click.option("--size", type=click.IntRange(1), help="Products a page; default 24.")
@click.option("--model", type=click.Path(path_type=Path), help="The bundle's folder; default model.")
@click.option("--html", "html_file", metavar="FILE", type=click.Path(path_type=Path), help="A page with the pictures.")
@index_option
@url_option
@device_option
@json_option
@config_option
def command(
    query: str,
    mode: Any,
    filters: tuple[str, ...],
    facets: tuple[str, ...],
    page: int,
    size: int | None,
    model: Path | None,
    html_file: Path | None,
    index: str | None,
    url: str | None,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Search the index for QUERY, a category's name or free text.

    Modes: lexical (BM25 alone), vector (the model alone), hybrid (both, fused).

    \b
    Example:
      clipita search "running shoes"
      clipita search kurtas --filter brand=Fabindia --filter 'price<=80' --facet brand --page 2
      clipita search kettles --mode lexical --json
      clipita search kurtas --facet colour --html kurtas.html
    """
    check_targets(None, html_file)
    settings = config.load(config_file)
    cluster = config.override(settings.opensearch, url=url, index=index)
    from clipita.opensearch.search import ProductSearch

    wanted = mode or settings.search.mode
    bundle = None if wanted == "lexical" else model or settings.export.bundle
    search = ProductSearch(
        None, cluster.index, bundle, settings.search, cluster, device=device or settings.ingest.device
    )
    found = search(
        query,
        mode=wanted,
        filters=parse_filters(filters),
        facets=facets,
        size=size,
        page=page,
        thumbnails=html_file is not None,
    )
    for remark in found.remarks:
        console.note(remark)
    if html_file is not None:
        from clipita.opensearch.page import render

        write(html_file, render(found, query, cluster.index).encode())
        console.note(f"The page is in {html_file}.")
    if as_json:
        console.print_json(found.to_json())
    else:
        _print(found)


def parse_filters(texts: tuple[str, ...]) -> dict[str, Any]:
    """`brand=Nike` and `price<=80` as ProductSearch takes them; values of one field are alternatives.

    Raises:
        UsageError: a text of another form.
    """
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
    from rich.table import Table

    table = Table(caption=f"{found.total:,} products, {found.mode}, page {found.page}, {found.took_ms} ms")
    for column in ("", "score", "id", "title", "category", "price"):
        table.add_column(column, justify="right" if column in ("", "score", "price") else "left")
    first = (found.page - 1) * found.size + 1
    for rank, hit in enumerate(found.hits, start=first):
        category = " > ".join(hit.source.get("category_path") or [])
        price = hit.source.get("price")
        cells = (hit.id, hit.title or "", category, "" if price is None else f"{price}")
        table.add_row(str(rank), f"{hit.score:.3f}", *(_plain(cell) for cell in cells))
    console.out().print(table)
    for name, values in found.facets.items():
        click.echo(f"{name}: " + ", ".join(f"{_plain(str(entry.value))} ({entry.count:,})" for entry in values))


def _plain(text: str) -> Text:
    """A catalogue's words as they are: neither rich's markup nor a terminal's control sequences take effect."""
    from rich.text import Text

    return Text("".join(character if character.isprintable() else " " for character in text))
