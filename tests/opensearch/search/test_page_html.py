"""The HTML page of a search: whole, safe, and with the pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from clipita.opensearch import Hit, SearchPage
from clipita.opensearch.search.page_html import image_address, render
from clipita.opensearch.search.results import FacetValue

JPEG = "/9j/4AAQSkZJRg=="
EVIL = "<script>alert(1)</script>\"' onerror=alert(2) ${style}"


class Elements(HTMLParser):
    """Every start tag with its attributes, and the words between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def page(*hits: Hit, query: str = "plates", total: int | None = None, number: int = 1, **more: object) -> SearchPage:
    found = len(hits) if total is None else total
    return SearchPage(query, list(hits), found, {}, 7, "hybrid", number, 24, **more)  # type: ignore[arg-type]


def hit(
    name: str, thumbnail: str | None = None, image: str | None = None, path: Sequence[str] = (), **source: object
) -> Hit:
    title = str(source["title"]) if "title" in source else None
    return Hit(name, 0.5, title, source, image=image, category_path=tuple(path), thumbnail=thumbnail)


def test_everything_from_outside_is_escaped() -> None:
    found = page(
        hit("p1", title=EVIL, path=[EVIL, EVIL], price=EVIL, image=f'https://shop/{"x"}"onload=1'),
        hit(EVIL, thumbnail=f'{JPEG}"><script>'),
        query=EVIL,
        remarks=(EVIL,),
    )
    found.facets[EVIL] = [FacetValue(EVIL, 3)]
    text = render(found, EVIL)
    elements = Elements(text)
    assert {tag for tag, _ in elements.tags} <= {
        "html", "head", "meta", "title", "style", "body", "header", "p", "h1", "h2", "main", "aside", "section", "ul",
        "ol", "li", "div", "span", "b", "img",
    }  # fmt: skip
    assert not [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]
    assert elements.words.count(EVIL) == 12


def test_a_policy_forbids_scripts_and_loads_only_pictures() -> None:
    metas = Elements(render(page(), "products")).all("meta")
    policy = next(entry["content"] for entry in metas if entry.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_pictures_are_thumbnails_or_urls() -> None:
    found = page(
        hit("inside", thumbnail=JPEG, title="a", image="https://shop/a.jpg"),
        hit("linked", title="b", image="https://shop/b.jpg?w=1&h=2"),
        hit("file", title="c", image="/home/shop/c.jpg"),
        hit("scripted", title="d", image="javascript:alert(1)"),
    )
    text = render(found, "products")
    assert [entry["src"] for entry in Elements(text).all("img")] == [
        f"data:image/jpeg;base64,{JPEG}",
        "https://shop/b.jpg?w=1&h=2",
    ]
    assert [entry["alt"] for entry in Elements(text).all("img")] == ["a", "b"]
    assert text.count("no picture") == 2
    assert "/home/shop" not in text


@pytest.mark.parametrize("thumbnail", ["", "not base64!", "iVBORw0KGgo=", "/9j/\n4AAQ"])
def test_what_is_no_thumbnail_is_not_shown(thumbnail: str) -> None:
    assert image_address(hit("p", thumbnail=thumbnail)) is None


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (page(), "No product matches"),
        (page(hit("a"), hit("b"), total=1234), "1–2 of 1,234 products"),
        (page(hit("a"), total=1234, number=3), "49–49 of 1,234 products"),
        (page(total=30, number=9), "page 9 lies beyond the last"),
    ],
)
def test_the_count_in_words(found: SearchPage, said: str) -> None:
    assert said in Elements(render(found, "products")).words


def test_a_very_long_query_is_shortened() -> None:
    text = render(page(query="x" * 10_000), "products")
    assert not re.search("x{300}", text)
