"""The report page: whole, safe against hostile catalogues, and of a bounded size."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.readers import CatalogueFile
from clipita.evaluation import report as report_module
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol
from clipita.evaluation.report import HITS, Report, choose_pair, render
from clipita.evaluation.thumbnails import SIDE, thumbnail, thumbnails

HOSTILE = "</style></script><script>alert(1)</script>\"'><img src=x onerror=alert(2)> & ${style} $x"


class Page(HTMLParser):
    """Elements with their attributes, and the text by element."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def jpeg(colour: str = "red") -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), colour).save(stream, "JPEG")
    return stream.getvalue()


def result(protocol: TreeProtocol, name: str, mode: str, where: str, order: list[int]) -> SystemResult:
    ranking = np.array(order, dtype=np.int64)
    return protocol.score(System(name, mode, where), [ranking] * len(protocol.queries))


def make(products: list[Product]) -> Report:
    protocol = TreeProtocol(products)
    count = len(protocol.ids)
    left = result(protocol, "bm25", "lexical", "offline", [])
    right = result(protocol, "clip-ita", "vector", "offline", list(range(count))[::-1])
    return Report(protocol, [left, right], left, right, {"Catalogue": HOSTILE}, [HOSTILE])


@pytest.fixture
def hostile() -> Report:
    return make([Product(f"{HOSTILE}{n}", HOSTILE, category_path=(HOSTILE, f"leaf {n} {HOSTILE}")) for n in range(3)])


def test_hostile_names_stay_text(hostile: Report) -> None:
    html = render(hostile, {hostile.protocol.ids[0]: jpeg()})
    page = Page(html)
    assert len(page.all("script")) == 1
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert {attributes["src"] for attributes in page.all("img")} == {report_module._PIXEL}
    assert HOSTILE in "".join(page.words)
    assert {attributes["alt"] for attributes in page.all("img")} == {HOSTILE}


def test_nothing_is_loaded_from_elsewhere(hostile: Report) -> None:
    html = render(hostile, {})
    (policy,) = [meta["content"] or "" for meta in Page(html).all("meta") if "http-equiv" in meta]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert "default-src 'none'" in policy
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert not Page(html).all("link")
    assert "url(http" not in html


def test_right_and_wrong_are_marked_in_words() -> None:
    report = make([Product("a", "shoe", category_path=("Shoes",)), Product("b", "hat", category_path=("Hats",))])
    html = render(report, {})
    assert html.count("✓ right") == 2
    assert html.count("✗ wrong") == 2
    assert "It finds nothing for this name." in html
    assert "no picture" in html


def test_each_picture_is_stored_once() -> None:
    products = [Product(f"p{n}", f"shoe {n}", category_path=("Shoes", f"leaf {n % 4}")) for n in range(6)]
    report = make(products)
    html = render(report, {product.id: jpeg() for product in products})
    assert html.count("data:image/jpeg") == len(report.pictured()) == 6
    assert len(Page(html).all("img")) == 6 * len(report.protocol.queries)


def test_only_the_first_hits_are_shown() -> None:
    report = make([Product(f"p{n:02d}", f"shoe {n}", category_path=("Shoes",)) for n in range(30)])
    assert len(report.pictured()) == HITS
    assert render(report, {}).count("✓ right") == HITS


def test_a_large_tree_shows_the_hits_of_the_largest_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAX_QUERIES", 2)
    report = make([Product(f"p{n}", "shoe", category_path=("Shoes", f"leaf {n}")) for n in range(4)])
    html = render(report, {})
    assert html.count("<details>") == 2
    assert html.count('<article class="query"') == 5
    assert "Hits are kept for the 2 queries" in html
    assert max(report.shown(), key=report.gain) == report.order()[0]


def test_one_system_alone_has_no_gains() -> None:
    report = make([Product("a", "shoe", category_path=("Shoes",))])
    alone = Report(report.protocol, [report.left], report.left, report.left)
    html = render(alone, {})
    assert "largest gain" not in html
    assert html.count("<section><h3>") == 1


def test_the_pair_to_compare() -> None:
    protocol = TreeProtocol([Product("a", "shoe", category_path=("Shoes",))])
    bm25, zero, trained = (
        result(protocol, name, mode, "offline", [0])
        for name, mode in (("bm25", "lexical"), ("zero-shot", "vector"), ("clip-ita", "vector"))
    )
    lexical, hybrid = (result(protocol, "x", mode, "live", [0]) for mode in ("lexical", "hybrid"))
    assert choose_pair([bm25]) == (bm25, bm25)
    assert choose_pair([bm25, zero]) == (bm25, zero)
    assert choose_pair([bm25, zero, trained]) == (bm25, trained)
    assert choose_pair([bm25, zero, trained, lexical, hybrid]) == (lexical, hybrid)
    assert choose_pair([bm25, lexical]) == (bm25, bm25)


def test_thumbnails_are_small_and_broken_pictures_are_told(shop: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    PIL.Image.new("RGBA", (400, 100), (10, 200, 30, 0)).save(big)
    small = PIL.Image.open(io.BytesIO(thumbnail(ImageSource(location=str(big)))))
    assert (small.format, small.size, small.mode) == ("JPEG", (SIDE, 24), "RGB")
    feed = tmp_path / "feed.csv"
    feed.write_text("product_id,title,category_path,image\n1,a,x,big.png\n2,b,x,none.png\n3,c,x,\n4,d,x,big.png\n")
    seen: list[None] = []
    made, failed = thumbnails(CatalogueFile(feed), ["1", "2", "3"], lambda: seen.append(None))
    assert set(made) == {"1"}
    assert failed == ["2"]
    assert len(seen) == 2
