"""`clipita categories`: more names for categories, and categories that training did not see."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

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

RESTART = "Searches and servers know it from their next start on."


@click.group(name="categories")
def command() -> None:
    """Give categories more names, and add categories that training did not see.

    Neither needs a training, and the products in the index stay as they are. Both amend the bundle: they are kept in
    categories.json beside its graphs, until the model is exported again. Ingest and search must use that bundle.

    \b
    Example:
      clipita categories name "Sonnenbrillen" --as "Sunglasses" --language de
      clipita categories name --from names.csv
      clipita categories add "Shoes > Clogs" --like 3,17,29,41,58
      clipita categories list
      clipita categories remove "Sonnenbrillen"
    """


@command.command()
@click.argument("text", required=False)
@click.option(
    "--as", "category", metavar="CATEGORY", help="What TEXT stands for: a category's name or path (A > B > C)."
)
@click.option("--language", default="", help="Language of TEXT, such as de; shown by `list`.")
@click.option(
    "--from", "file", metavar="FILE", type=click.Path(path_type=Path),
    help="A CSV file with the columns category, text and, if you like, language.",
)  # fmt: skip
@click.option(
    "--synonyms", metavar="FILE", type=click.Path(path_type=Path),
    help="The shop's synonyms in Solr's format: what stands for a category on a line becomes a name of it.",
)  # fmt: skip
@model_option
@device_option
@config_option
def name(
    text: str | None,
    category: str | None,
    language: str,
    file: Path | None,
    synonyms: Path | None,
    model: Path | None,
    device: str | None,
    config_file: Path | None,
) -> None:
    """Let TEXT, a synonym or a translation, stand for a category.

    A query of TEXT is then answered as that category, with its page end and its weight; so is one that is nearly the
    same. Inside a longer query TEXT counts as the category's own name: "cheap shades" finds titles with "sunglasses".
    A text stands for one category.

    \b
    Example:
      clipita categories name "Sonnenbrillen" --as "Sunglasses" --language de
      clipita categories name "shades" --as "Accessories > Eyewear > Sunglasses"
      clipita categories name --from names.csv
      clipita categories name --synonyms synonyms.txt
    """
    from clipita.categories import name_categories, names_of_synonyms, read_names

    ways = (file is not None) + (synonyms is not None) + (text is not None or category is not None)
    if ways != 1 or (text is None) != (category is None):
        raise UsageError(
            "Give either TEXT and --as, or --from, or --synonyms.",
            hint='For instance: clipita categories name "shades" --as "Sunglasses"',
        )
    settings = config.load(config_file)
    bundle = model or settings.export.bundle
    if synonyms is not None:
        names = names_of_synonyms(synonyms, model=bundle)
    else:
        names = [(category or "", text or "", language)] if file is None else read_names(file)
    count = name_categories(names, model=bundle, device=device or settings.ingest.device)
    click.echo(f"New names: {count:,}; known before: {len(names) - count:,}.")
    console.note(RESTART)


@command.command()
@click.argument("path", required=False)
@click.option(
    "--like", metavar="ID,ID", multiple=True, help="Products of the index that belong there; may be repeated."
)
@click.option(
    "--from", "file", metavar="FILE", type=click.Path(path_type=Path),
    help="A catalogue of examples with a category column; they need not be in the index. Without PATH, every category "
    "in it that the model does not know is added.",
)  # fmt: skip
@click.option("--image-root", type=click.Path(path_type=Path), help="Folder of the image files.")
@model_option
@index_option
@url_option
@device_option
@fields_options
@json_option
@config_option
def add(
    path: str | None,
    like: tuple[str, ...],
    file: Path | None,
    image_root: Path | None,
    model: Path | None,
    index: str | None,
    url: str | None,
    device: str | None,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> None:
    """Add the category PATH (Shoes > Clogs), which training did not see, by examples.

    Five examples are enough for most categories, ten are better; one is a lottery. The category's vector comes from its
    name and the examples, and known categories that would show them, or would not, are corrected. Free text that names
    the category is recognised. Its page holds the products that are labelled with it; until there are any, those that
    the model places there. A later `clipita ingest` keeps the category, a new training learns it from its products.

    \b
    Example:
      clipita categories add "Shoes > Clogs" --like 3,17,29,41,58
      clipita categories add "Shoes > Clogs" --from clogs.csv
      clipita categories add --from new-categories.parquet --category-field category
    """
    from clipita.categories import add_categories, add_category

    settings = config.load(config_file)
    fields = mapped_fields(settings, flags)
    ids = [one.strip() for part in like for one in part.split(",") if one.strip()]
    if bool(ids) == (file is not None) or (ids and path is None):
        raise UsageError(
            "Give either PATH and --like, or --from.",
            hint='For instance: clipita categories add "Shoes > Clogs" --like 3,17,29',
        )
    common = _common(settings, model, index, url, device)
    if file is None:
        added = [add_category(path or "", ids, **common)]
    else:
        root = image_root or settings.catalogue.image_root
        added = add_categories(file, path, fields=fields, image_root=root, **common)
    if as_json:
        console.print_json([_facts(one) for one in added])
        return
    for one in added:
        click.echo(f"Added {' > '.join(one.path)} by {len(one.examples):,} examples.")
    console.note(RESTART)


@command.command("list")
@model_option
@json_option
@config_option
def list_command(model: Path | None, as_json: bool, config_file: Path | None) -> None:
    """List the names and categories that were added to the bundle.

    \b
    Example:
      clipita categories list
      clipita categories list --json | jq -r '.names[] | [.category[-1], .text, .language] | @csv'
    """
    from clipita.catalogue.product import path_text
    from clipita.categories import list_categories

    found = list_categories(model or config.load(config_file).export.bundle)
    if as_json:
        names = [dataclasses.asdict(name) for name in found.names]
        console.print_json({"names": names, "categories": [_facts(one) for one in found.new]})
        return
    if not len(found):
        click.echo("Nothing was added.")
    if found.names:
        rows = [(name.text, path_text(name.category), name.language) for name in found.names]
        console.table(("Name", "Category", "Language"), rows)
    if found.new:
        new = [(path_text(one.path), f"{len(one.examples):,}") for one in found.new]
        console.table(("New category", "Examples"), new, numbers=("Examples",))


@command.command()
@click.argument("text")
@model_option
@index_option
@url_option
@device_option
@config_option
def remove(
    text: str, model: Path | None, index: str | None, url: str | None, device: str | None, config_file: Path | None
) -> None:
    """Remove the name TEXT, or the added category TEXT (its name or path) with all its names.

    \b
    Example:
      clipita categories remove "Sonnenbrillen"
      clipita categories remove "Shoes > Clogs"
    """
    from clipita.categories import remove_category

    settings = config.load(config_file)
    click.echo(remove_category(text, **_common(settings, model, index, url, device)))
    console.note(RESTART)


def _common(
    settings: config.Config, model: Path | None, index: str | None, url: str | None, device: str | None
) -> dict[str, Any]:
    """Bundle and index of a command, as the functions of `clipita.categories` take them."""
    cluster = config.override(settings.opensearch, url=url, index=index)
    return {
        "index": cluster.index,
        "model": model or settings.export.bundle,
        "opensearch": cluster,
        "device": device or settings.ingest.device,
        "warn": console.note,
    }


def _facts(one: Any) -> dict[str, Any]:
    return {"path": one.path, "examples": one.examples}
