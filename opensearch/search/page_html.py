"""A search page as one HTML file: no script, and nothing loaded but the images that the shop holds as URLs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from clipita import markup

if TYPE_CHECKING:
    from clipita.opensearch.search.results import Hit, SearchPage

MODE_NAMES = {"lexical": "BM25 alone", "vector": "the vector alone", "hybrid": "hybrid: BM25 and vector"}
LONGEST_QUERY = 200
"""Characters of a query that are shown."""

_URL = re.compile(r"https?://[^\s]+", re.IGNORECASE)
# Base64 of a JPEG, as ingest writes it; another program may have written into the index too.
_JPEG = re.compile(r"/9j/[A-Za-z0-9+/]+={0,2}")


def render(page: SearchPage, index: str) -> str:
    """The whole page.

    Args:
        page: hits with thumbnails, where images are wanted that are no URLs.
        index: the alias.
    """
    values = {"index": index, "mode": MODE_NAMES[page.mode], "remarks": page.remarks}
    return markup.render("clipita.opensearch.search", "page.html", _values(page) | values)


def fragment(page: SearchPage) -> str:
    """The hits as a piece of HTML that brings its own style, for a notebook's output."""
    return markup.render("clipita.opensearch.search", "fragment.html", _values(page))


def image_address(hit: Hit) -> str | None:
    """What an `img` element shows of a product: its thumbnail, else its image's http(s) URL; None without either."""
    if hit.thumbnail is not None and _JPEG.fullmatch(hit.thumbnail):
        return f"data:image/jpeg;base64,{hit.thumbnail}"
    return hit.image if hit.image is not None and _URL.fullmatch(hit.image) else None


def _values(page: SearchPage) -> dict[str, Any]:
    return {
        "query": page.query if len(page.query) <= LONGEST_QUERY else page.query[:LONGEST_QUERY] + "…",
        "count": _count(page),
        "facets": page.facets,
        "hits": [
            {
                "name": hit.title or hit.id,
                "image": image_address(hit),
                "path": hit.category_path,
                "explanation": hit.explanation.text() if hit.explanation else None,
                "price": hit.source.get("price"),
                "score": hit.score,
            }
            for hit in page.hits
        ],
    }


def _count(page: SearchPage) -> str:
    if not page.total:
        return f"No product matches. {page.took_ms} ms."
    if not page.hits:
        return f"{page.total:,} products; page {page.page} lies beyond the last. {page.took_ms} ms."
    first = (page.page - 1) * page.size + 1
    return f"{first:,}–{first + len(page.hits) - 1:,} of {page.total:,} products, {page.took_ms} ms"
