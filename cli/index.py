"""`clipita index`: the indices behind an alias."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import (
    config_option,
    device_option,
    fields_options,
    index_option,
    json_option,
    mapped_fields,
    model_option,
    url_option,
)
from clipita.errors import UsageError

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from clipita.opensearch.index.versions import Version


@click.group(name="index")
def command() -> None:
    """Manage the indices behind an alias.

    Searches go to an alias of one index, beside which the indices that it replaced are kept. Each
    `clipita ingest --new-index` or `--from-index` adds an index.

    \b
    Example:
      clipita index list
      clipita index rollback
      clipita index prune --keep 1
      clipita index recall --k 10
      clipita index synonyms synonyms.txt
      clipita index export products shop/ --title-field name
    """


@command.command("list")
@index_option
@url_option
@json_option
@config_option
def list_command(index: str | None, url: str | None, as_json: bool, config_file: Path | None) -> None:
    """List the indices of an alias, the oldest first.

    \b
    Example:
      clipita index list --index products
      clipita index list --json | jq -r '.[] | select(.current) | .name'
    """
    from clipita.opensearch.index.versions import list_versions

    client, alias = _connected(config_file, url, index)
    versions = list_versions(client, alias)
    if as_json:
        console.print_json([dataclasses.asdict(version) for version in versions])
    elif not versions:
        click.echo(f"There is no index of {alias}.")
    else:
        _print(versions)


@command.command()
@click.option("--to", metavar="NAME", help="Index to go back to; default: the previous one.")
@index_option
@url_option
@config_option
def rollback(to: str | None, index: str | None, url: str | None, config_file: Path | None) -> None:
    """Point the alias at an earlier index, in one step without any failing search.

    Searches then need the model of that index, which `clipita index list` names.

    \b
    Example:
      clipita index rollback --index products
      clipita index rollback --to products-1a2b3c4d-1
    """
    from clipita.opensearch.index.versions import roll_back

    client, alias = _connected(config_file, url, index)
    before, now = roll_back(client, alias, to)
    click.echo(f"{alias} now points to {now}; {before} is kept.")


@command.command()
@click.option(
    "--keep", default=1, show_default=True, type=click.IntRange(0), help="Indices to keep beside the current."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@index_option
@url_option
@config_option
def prune(keep: int, yes: bool, index: str | None, url: str | None, config_file: Path | None) -> None:
    """Delete old indices of an alias.

    The current one stays, and so does an index that clipita did not make.

    \b
    Example:
      clipita index prune --keep 2
      clipita index prune --keep 0 --yes
    """
    from clipita.opensearch.index.versions import prune_versions, remove_versions

    client, alias = _connected(config_file, url, index)
    stay, go = prune_versions(client, alias, keep)
    if not go:
        click.echo(f"Nothing to delete: {len(stay)} stay.")
        return
    console.note(f"To be deleted: {', '.join(f'{version.name} ({version.documents:,} products)' for version in go)}.")
    if not yes:
        click.confirm("Delete them?", abort=True, err=True)
    remove_versions(client, alias, go)
    click.echo(f"Deleted {len(go)}; {len(stay)} stay.")


@command.command()
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 10_000), help="Nearest products to request.")
@click.option("--query", "queries", metavar="TEXT", multiple=True, help="Query to measure with; may be repeated.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1), help="Categories to use as queries.")
@model_option
@index_option
@url_option
@device_option
@json_option
@config_option
def recall(
    k: int,
    queries: tuple[str, ...],
    limit: int,
    model: Path | None,
    index: str | None,
    url: str | None,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Measure how many of the true nearest products the k-NN field finds.

    Each query is searched twice: through the k-NN graph, and exactly over all products. Without --query the queries are
    the names of the categories that the model was trained on.

    \b
    Example:
      clipita index recall --k 10
      clipita index recall --k 100 --query "running shoes" --query kurtas
    """
    from clipita.opensearch.index.index import check_fingerprint, require
    from clipita.opensearch.quality.live import measure_recall
    from clipita.runtime import Bundle, TextEncoder

    settings = config.load(config_file)
    client, alias = _connected(config_file, url, index)
    bundle = Bundle.load(model or settings.export.bundle)
    check_fingerprint(require(client, alias), bundle, alias)
    texts = list(queries) or list(dict.fromkeys(path[-1] for path in bundle.categories))[:limit]
    vectors = TextEncoder(bundle, device or settings.ingest.device).encode(texts)
    with console.progress("queries") as bar:
        task = bar.add_task("Searching", total=len(texts), note="")
        pairs = list(zip(texts, vectors.tolist(), strict=True))
        found = measure_recall(client, alias, pairs, k, lambda done, _: bar.update(task, completed=done))
    if as_json:
        console.print_json(dataclasses.asdict(found))
        return
    click.echo(
        f"recall@{k} of {alias} over {found.queries} queries: {found.mean:.4f}; the worst is {found.worst:.2f} "
        f"({found.worst_query}).\nMedian time: k-NN {found.knn_ms:.1f} ms, exact {found.exact_ms:.1f} ms."
    )


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@index_option
@url_option
@config_option
def synonyms(file: Path | None, index: str | None, url: str | None, config_file: Path | None) -> None:
    """Search the index with the synonyms of FILE from now on, in place of those that it had.

    FILE is in Solr's format: `sofa, couch` or `tee => t-shirt`; by default `synonyms` of [ingest] in clipita.toml. No
    product is written again. Every line is checked first; then the index is closed for a moment, in which searches
    fail, as OpenSearch changes an analyzer in no other way. A file without rules removes all synonyms.

    \b
    Example:
      clipita index synonyms synonyms.txt
      clipita index synonyms --index products --url https://search.internal:9200
    """
    from clipita.opensearch.index.index import require
    from clipita.opensearch.index.lock import AliasLock
    from clipita.opensearch.index.synonyms import put_synonyms
    from clipita.word_files import read_synonyms

    configured = config.load(config_file).ingest.synonyms
    source = file or configured
    if source is None:
        raise UsageError("No file of synonyms is named.", hint="Give FILE, or set synonyms in [ingest].")
    rules = read_synonyms(source)
    client, alias = _connected(config_file, url, index)
    # A closed index refuses the products of an ingest.
    with AliasLock(client, alias):
        seconds = put_synonyms(client, require(client, alias).name, rules, source)
    click.echo(f"{alias} is searched with {len(rules):,} rules; it was closed for {seconds:.1f} seconds.")
    if configured is None or source.absolute() != configured.absolute():
        console.note(f'A new index has them too with synonyms = "{source}" under [ingest] of clipita.toml.')


@command.command("export")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--products", type=click.IntRange(1), help="Approximate number, evenly over the index; default: all.")
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of the image files.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Another seed gives other parts.",
)
@click.option("--force", is_flag=True, help="Replace the files that FOLDER holds.")
@fields_options
@url_option
@json_option
@config_option
def export(
    name: str,
    folder: Path,
    products: int | None,
    image_root: Path | None,
    seed: int,
    force: bool,
    url: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> None:
    """Write the documents of index NAME into FOLDER, as files to train and measure on.

    For a shop that has an index and no feed. The files are train.jsonl.gz (80 %), valid.jsonl.gz and test.jsonl.gz
    (10 % each), with the columns product_id, title, category_path, attributes and image, which all other commands
    expect by default. A product's id decides its file, as in `clipita catalogue split`. The index is only read.
    Products without a category are left out.

    \b
    Example:
      clipita index export products shop/ --title-field name --category-field category --attribute-field brand
      clipita index export products shop/ --products 20000 --attribute-field 'specs.*'
      clipita train shop/train.jsonl.gz --valid shop/valid.jsonl.gz
    """
    from clipita.opensearch.ingest.export import export_catalogue
    from clipita.opensearch.ingest.index_source import IndexSource

    settings = config.load(config_file)
    client, _ = _connected(config_file, url, None)
    root = image_root or settings.catalogue.image_root
    source = IndexSource(client, name, mapped_fields(settings, flags), root and root.absolute())
    with console.progress("documents") as bar:
        task = bar.add_task("Reading", total=None, note="")
        found = export_catalogue(
            source, folder, products, seed, lambda done, total: bar.update(task, completed=done, total=total), force
        )
    if as_json:
        console.print_json(dataclasses.asdict(found))
        return
    listed = ", ".join(f"{count:,} in {split}.jsonl.gz" for split, count in found.written.items())
    click.echo(f"Read {found.documents:,} documents of {found.index}, wrote to {folder}: {listed}.")
    if found.without_category:
        console.note(f"{found.without_category:,} have no category and are in no file.")
    if found.unusable:
        console.note(f"{found.unusable:,} give no product; the first is {found.first_problem}.")
    click.echo(f"Next: clipita train {folder}/train.jsonl.gz --valid {folder}/valid.jsonl.gz")


def _connected(config_file: Path | None, url: str | None, index: str | None) -> tuple[OpenSearch, str]:
    from clipita.opensearch.cluster.connection import connect

    cluster = config.override(config.load(config_file).opensearch, url=url, index=index)
    return connect(cluster), cluster.index


def _print(versions: Sequence[Version]) -> None:
    rows = [
        (
            "*" if version.current else "", version.name, version.model or "-", (version.fingerprint or "-")[:8],
            (version.created or "-")[:19].replace("T", " "), version.state, f"{version.documents:,}",
            f"{version.bytes / 1e6:,.1f} MB",
        )
        for version in versions
    ]  # fmt: skip
    columns = ("", "index", "model", "fingerprint", "created", "state", "products", "size")
    console.table(columns, rows, soft_wrap=True, box=None, pad_edge=False)
