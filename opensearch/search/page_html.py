"""A page of results as one HTML file: no script, and nothing loaded but the pictures that the shop holds as URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from string import Template

from clipita.opensearch.search.results import FacetValue, Hit, SearchPage

MODE_NAMES = {"lexical": "BM25 alone", "vector": "the vector alone", "hybrid": "hybrid: BM25 and vector"}

_URL = re.compile(r"https?://[^\s]+", re.IGNORECASE)
# Base64 of a JPEG, as ingest writes it; another program may have written into the index too.
_JPEG = re.compile(r"/9j/[A-Za-z0-9+/]+={0,2}")

_FRAGMENT = "font:13px/1.4 system-ui,sans-serif"
_CARDS = "display:grid;grid-template-columns:repeat(auto-fill,minmax(130px,1fr));gap:10px;margin-top:8px"
_CARD = "border:1px solid rgba(128,128,128,.35);border-radius:8px;padding:8px;overflow-wrap:anywhere"
_PICTURE = "width:100%;aspect-ratio:1;object-fit:contain;background:#fff;border-radius:4px"


def render(page: SearchPage, index: str) -> str:
    """The page.

    Args:
        page: hits with thumbnails, where pictures are wanted that are no URLs.
        index: the alias.
    """
    # Template.substitute reads its placeholders once: a product titled "${style}" stays those characters.
    return _asset("page.html").substitute(
        title=escape(f"{_shortened(page.query)} – {index}"),
        style=_asset("page.css").template,
        kicker=escape(f"{index} · {MODE_NAMES[page.mode]}"),
        query=escape(_shortened(page.query)),
        count=escape(_count(page)),
        remarks="".join(f'<p class="note">{escape(remark)}</p>' for remark in page.remarks),
        layout="split" if page.facets else "plain",
        facets=_facets(page.facets.items()),
        grid=_grid(page),
    )


def fragment(page: SearchPage) -> str:
    """The hits as a piece of HTML that brings its own style, for a notebook's output."""
    cards = []
    for hit in page.hits:
        name, address = escape(hit.title or hit.id), image_address(hit)
        picture = f'<img src="{escape(address)}" alt="{name}" style="{_PICTURE}">' if address else ""
        cards.append(
            f'<div style="{_CARD}">{picture}<div>{name}</div>'
            f'<div style="opacity:.7">{escape(_price(hit))} {_score(hit)}</div></div>'
        )
    facets = "".join(
        f"<div><b>{escape(name)}</b> "
        + ", ".join(f"{escape(str(entry.value))} ({entry.count:,})" for entry in values)
        + "</div>"
        for name, values in page.facets.items()
    )
    heading = f"<div><b>{escape(_shortened(page.query))}</b> {escape(_count(page))}</div>"
    return f'<div style="{_FRAGMENT}">{heading}{facets}<div style="{_CARDS}">{"".join(cards)}</div></div>'


def image_address(hit: Hit) -> str | None:
    """What an `img` element shows of a product: its thumbnail, else its picture's http(s) URL; None without either."""
    if hit.thumbnail is not None and _JPEG.fullmatch(hit.thumbnail):
        return f"data:image/jpeg;base64,{hit.thumbnail}"
    return hit.image if hit.image is not None and _URL.fullmatch(hit.image) else None


def _asset(name: str) -> Template:
    return Template(files("clipita.opensearch.search").joinpath(name).read_text(encoding="utf-8"))


def _shortened(text: str, longest: int = 200) -> str:
    return text if len(text) <= longest else text[:longest] + "…"


def _count(page: SearchPage) -> str:
    if not page.total:
        return f"No product matches. {page.took_ms} ms."
    if not page.hits:
        return f"{page.total:,} products; page {page.page} lies beyond the last. {page.took_ms} ms."
    first = (page.page - 1) * page.size + 1
    return f"{first:,}–{first + len(page.hits) - 1:,} of {page.total:,} products, {page.took_ms} ms"


def _facets(facets: Iterable[tuple[str, list[FacetValue]]]) -> str:
    sections = []
    for name, values in facets:
        rows = "".join(f"<li><span>{escape(str(entry.value))}</span><b>{entry.count:,}</b></li>" for entry in values)
        sections.append(f"<section><h2>{escape(name)}</h2><ul>{rows or '<li>none</li>'}</ul></section>")
    return f'<aside class="facets" aria-label="Facets">{"".join(sections)}</aside>' if sections else ""


def _grid(page: SearchPage) -> str:
    if not page.hits:
        return '<p class="empty">Nothing to show.</p>'
    return f'<ol class="grid" aria-label="Products">{"".join(_card(hit) for hit in page.hits)}</ol>'


def _card(hit: Hit) -> str:
    name = escape(hit.title or hit.id)
    address = image_address(hit)
    picture = (
        f'<div class="picture"><img src="{escape(address)}" alt="{name}" loading="lazy"></div>'
        if address
        else '<div class="picture none">no picture</div>'
    )
    where = " › ".join(hit.category_path)
    return (
        f'<li>{picture}<div class="words"><span class="name">{name}</span>'
        f'<span class="where">{escape(where)}</span>{_why(hit)}<div class="foot">'
        f'<span class="price">{escape(_price(hit))}</span>'
        f'<span class="score" title="score">{_score(hit)}</span></div></div></li>'
    )


def _price(hit: Hit) -> str:
    price = hit.source.get("price")
    return "" if price is None else str(price)


def _score(hit: Hit) -> str:
    return "" if hit.score is None else f"{hit.score:.3f}"


def _why(hit: Hit) -> str:
    """What the score is made of, where an explanation was asked for."""
    if hit.explanation is None:
        return ""
    return f'<span class="where">{escape(hit.explanation.text())}</span>'
