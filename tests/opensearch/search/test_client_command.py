"""`clipita search` against a real node: table, JSON, page, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clipita.cli import group
from clipita.cli.failure import run_guarded
from clipita.cli.search import parse_filters
from clipita.errors import UsageError
from clipita.opensearch.local.node import NodeStatus

if TYPE_CHECKING:
    from conftest import Live


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


class Command:
    def __init__(self, url: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._common = ["--url", url, "--model", str(bundle), "--index", "search-shop"]
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = run_guarded(group, ["search", *arguments, *self._common])
        return (code, *self._capsys.readouterr())


@pytest.fixture
def clipita(live: Live, node: NodeStatus, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(node.url, tiny_bundle, capsys)


@pytest.mark.integration
def test_the_table_shows_the_hits(live: Live, clipita: Command) -> None:
    code, out, _ = clipita("cutting boards", "--size", "5", "--filter", "brand=Acme", "--facet", "colour")
    page = live.search("cutting boards", size=5, filters={"brand": ["Acme"]}, facets=["colour"])
    assert code == 0
    shown = re.findall(r"(?m)^.\s+\d+\s.\s+(\d\.\d{3})\s.\s+(\S+)\s", out)
    assert shown == [(f"{hit.score:.3f}", hit.id) for hit in page.hits]
    assert f"{page.total:,} products, hybrid, page 1" in out
    first = page.facets["colour"][0]
    assert f"colour: {first.value} ({first.count})" in out


@pytest.mark.integration
def test_the_table_says_what_was_understood(clipita: Command) -> None:
    code, out, _ = clipita("red plates under 50")
    assert code == 0
    assert "understood: colour red, price under 50" in out
    assert "understood" not in clipita("red plates", "--no-understand")[1]
    assert "understood: price" in clipita("red plates under 50", "--keep-word", "red")[1]
    assert clipita("red plates", "--strict", "--json")[0] == 0


@pytest.mark.integration
def test_a_title_cannot_paint_the_terminal(clipita: Command) -> None:
    code, out, _ = clipita("kettle", "--mode", "lexical")
    assert code == 0
    assert "[red]kettle[/red]" in out
    assert ":smile:" in out
    assert "\x1b" not in out


@pytest.mark.integration
def test_json_is_the_page(live: Live, clipita: Command) -> None:
    code, out, _ = clipita("cutting boards", "--json", "--page", "2", "--size", "7", "--facet", "brand")
    page = live.search("cutting boards", page=2, size=7, facets=["brand"]).to_json()
    assert code == 0
    shown = json.loads(out)
    assert shown.pop("took_ms") >= 0
    page.pop("took_ms")
    assert shown == json.loads(json.dumps(page))


@pytest.mark.integration
def test_the_page_has_the_pictures_and_no_script(clipita: Command, tmp_path: Path) -> None:
    code, out, err = clipita("script plate", "--html", "page.html", "--facet", "brand")
    assert code == 0
    assert "page.html" in err
    assert "script" in out
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") >= 10
    assert "<script" not in text
    assert "&lt;script&gt;document.title" in text
    assert "&lt;b&gt;Bold&lt;/b&gt;" in text


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("",), 2, "The query is empty."),
        ((), 2, "nothing to search for"),
        (("--category", "Rund Plates"), 2, "Did you mean Home > Plates > Round Plates"),
        (("plates", "--fusion", "rrf", "--collapse", "brand"), 2, "offers no collapse"),
        (("plates", "--boost", "sales"), 2, "is not a boost"),
        (("plates", "--filter", "colur=red"), 2, "Did you mean colour?"),
        (("plates", "--filter", "colour"), 2, "is not a filter"),
        (("plates", "--page", "9999"), 2, "10,000"),
        (("plates", "--html", "nowhere/page.html"), 2, "there is no folder nowhere"),
        (("plates", "--filter", "price<=cheap"), 2, "price holds numbers"),
        (("plates", "--mode", "best"), 2, "'best' is not one of"),
    ],
)
def test_what_goes_wrong_is_one_line(clipita: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, out, err = clipita(*arguments)
    assert found == code
    assert said in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.integration
def test_every_flag_reaches_the_search(live: Live, clipita: Command) -> None:
    flags = [
        "--category", "Home > Plates > Round Plates", "--sort", "brand", "--sort", "-price", "--collapse", "colour",
        "--boost", "popularity:sales:0.5:10", "--min-score", "0.01", "--weight", "0.4", "--pivot", "3", "--explain",
    ]  # fmt: skip
    code, out, _ = clipita(*flags, "--json")
    page = live.search(
        category="Round Plates", sort=["brand", "-price"], collapse="colour", boosts=["popularity:sales:0.5:10"],
        min_score=0.01, weight=0.4, pivot=3, explain=True,
    )  # fmt: skip
    assert code == 0
    shown = json.loads(out)
    assert shown | {"took_ms": 0} == json.loads(json.dumps(page.to_json())) | {"took_ms": 0}
    code, table, _ = clipita(*flags)
    assert f"in {page.groups} groups" in table
    assert "× 1.00 popularity(sales)" in table


@pytest.mark.integration
def test_the_cursor_leads_to_the_next_page(live: Live, clipita: Command) -> None:
    _, out, err = clipita("plates", "--size", "4")
    word = err.rpartition("--cursor ")[2].split()[0]
    code, out, _ = clipita("plates", "--size", "4", "--cursor", word, "--json")
    assert code == 0
    assert [hit["id"] for hit in json.loads(out)["hits"]] == [
        hit.id for hit in live.search("plates", size=4, page=2).hits
    ]


def test_nothing_answers_exits_1(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = Command("http://127.0.0.1:1", tiny_bundle, capsys)("plates")
    assert code == 1
    assert "Nothing answers at http://127.0.0.1:1" in err


def test_filters_of_the_command_line() -> None:
    assert parse_filters(("brand=A", "brand=B", "price>=5", "price<80", "name=a=b")) == {
        "brand": ["A", "B"],
        "price": {"gte": "5", "lt": "80"},
        "name": ["a=b"],
    }
    with pytest.raises(UsageError, match="both a value and a bound"):
        parse_filters(("price=5", "price<80"))
