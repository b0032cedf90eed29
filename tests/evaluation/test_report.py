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
from clipita.catalogue.reader import CatalogueFile
from clipita.evaluation import report as report_module
from clipita.evaluation.protocol import System, SystemResult, TreeProtocol
from clipita.evaluation.report import HITS, PIXEL, Report, choose_pair, render
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
    return make(
        [Product(f"{HOSTILE}{n}", HOSTILE, category_paths=((HOSTILE, f"leaf {n} {HOSTILE}"),)) for n in range(3)]
    )


def test_hostile_names_stay_text(hostile: Report) -> None:
    html = render(hostile, {hostile.protocol.ids[0]: jpeg()})
    page = Page(html)
    assert len(page.all("script")) == 1
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert {attributes["src"] for attributes in page.all("img")} == {PIXEL}
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
    report = make(
        [Product("a", "shoe", category_paths=(("Shoes",),)), Product("b", "hat", category_paths=(("Hats",),))]
    )
    html = render(report, {})
    assert html.count("✓ right") == 2
    assert html.count("✗ wrong") == 2
    assert "It finds nothing for this name." in html
    assert "no image" in html


def test_each_image_is_stored_once() -> None:
    products = [Product(f"p{n}", f"shoe {n}", category_paths=(("Shoes", f"leaf {n % 4}"),)) for n in range(6)]
    report = make(products)
    html = render(report, {product.id: jpeg() for product in products})
    assert html.count("data:image/jpeg") == len(report.image_ids()) == 6
    strips = [image for image in Page(html).all("img") if " " in (image["class"] or "")]
    assert len(Page(html).all("img")) - len(strips) == 6 * len(report.protocol.queries)


def test_only_the_first_hits_are_shown() -> None:
    report = make([Product(f"p{n:02d}", f"shoe {n}", category_paths=(("Shoes",),)) for n in range(30)])
    assert len(report.image_ids()) == HITS
    assert render(report, {}).count("✓ right") == HITS


def test_a_large_tree_shows_the_hits_of_the_largest_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "MAX_QUERIES", 2)
    report = make([Product(f"p{n}", "shoe", category_paths=(("Shoes", f"leaf {n}"),)) for n in range(4)])
    html = render(report, {})
    assert html.count('<div class="columns">') == 2
    assert html.count('<article class="query"') == 5
    assert "Hits are kept for the 2 queries" in html
    assert max(report.shown(), key=report.gain) == report.order()[0]


def test_one_system_alone_has_no_gains() -> None:
    report = make([Product("a", "shoe", category_paths=(("Shoes",),))])
    alone = Report(report.protocol, [report.left], report.left, report.left)
    html = render(alone, {})
    assert "largest gain" not in html
    assert html.count("<section><h3>") == 1


def test_the_pair_to_compare() -> None:
    protocol = TreeProtocol([Product("a", "shoe", category_paths=(("Shoes",),))])
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


def test_thumbnails_are_small_and_broken_images_are_reported(shop: Path, tmp_path: Path) -> None:
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


def explained() -> str:
    """Two systems on a shop of two trees: the second mixes up boots with sandals, and a hat with a shoe."""
    paths = [("Shoes", "Boots"), ("Shoes", "Boots"), ("Shoes", "Sandals"), ("Hats", "Caps"), ("Hats", "Caps")]
    products = [Product(f"p{n}", f"thing {n}", category_paths=(path,)) for n, path in enumerate(paths)]
    protocol = TreeProtocol(products)
    protocol.select("all", {"Shoes", "Boots", "Sandals", "Hats", "Gloves"})
    answers = {"Boots": [0, 2], "Sandals": [2], "Shoes": [0, 1, 3], "Caps": [3, 4], "Hats": [3, 4]}
    left = protocol.score(System("bm25", "lexical", "offline"), [np.array([], dtype=np.int64)] * 5)
    rankings = [np.array(answers[query.text], dtype=np.int64) for query in protocol.queries]
    right = protocol.score(System("clip-ita", "vector", "offline"), rankings)
    report = Report(protocol, [left, right], left, right)
    return render(report, {product.id: jpeg() for product in products})


def section(html: str, heading: str) -> str:
    return html.split(f"<h2>{heading}</h2>")[1].split("</section>\n<section")[0]


def test_best_worst_and_most_improved_categories_link_to_their_hits() -> None:
    html = explained()
    parts = section(html, "Best, worst, most improved").split('<section class="extremes">')[1:]
    assert [re.findall(r"<h3>(.*?)</h3>", part)[0] for part in parts] == [
        "Best", "Worst", "Most improved against bm25"
    ]  # fmt: skip
    names = [re.findall(r'<a href="#q\d+">(.*?)</a><b>(.*?)</b>', part) for part in parts]
    assert names[0][-1] == ("Boots", "50")
    assert names[1][0] == ("Boots", "50")
    assert names[2][-1] == ("Boots", "+50")
    for target in re.findall(r'href="#(q\d+)"', html):
        assert f'id="{target}"' in html


def test_mistakes_are_told_by_kind() -> None:
    html = explained()
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", section(html, "What kind of mistakes")) if "clip-ita" in row]
    # Of ten first hits two are wrong: one in another tree, one beside the category that was asked.
    assert "2 of 10" in row
    assert row.count("50 %") == 2
    assert "+0: 1" in row


def test_the_map_shows_what_came_for_what() -> None:
    html = explained()
    text = section(html, "What is confused with what")
    assert "<b>Boots</b> was asked, <b>Sandals</b> came" in text
    assert "its sibling" in text
    assert "another tree (Hats)" in text
    (boots,) = [row for row in re.findall(r"<tr.*?</tr>", text) if '<th scope="row">Shoes › Boots' in row]
    assert re.findall(r'<td class="(\w+)[^"]*"[^>]*>(\d+)</td>', boots) == [("ok", "50"), ("tree", "50")]


def test_every_category_stands_in_the_table_and_those_not_asked_are_counted() -> None:
    html = explained()
    table = section(html, "Every category")
    assert len(re.findall(r"<tr>", table)) == 6
    assert table.count("unseen") == 1, "Caps was not among the names that training saw"
    assert "1 category has no relevant product here and is not asked: Gloves." in html


def test_differences_come_with_interval_and_p() -> None:
    html = explained()
    told = section(html, "Is the difference real?")
    assert "clip-ita" in told
    assert "+83.3" in told
    assert re.search(r"[+-][\d.]+ to [+-][\d.]+", told)
