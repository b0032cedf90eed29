"""One HTML file that shows what the measures mean: query by query, two systems side by side, right and wrong marked.

The file stands alone: no script, style or picture is loaded from anywhere, and its content policy forbids it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template

from clipita.catalogue.product import Product
from clipita.evaluation import report_insight as insight
from clipita.evaluation.measures import MEASURES, bootstrap_interval
from clipita.evaluation.protocol import RELEVANCE, CategoryQuery, SystemResult, TreeProtocol
from clipita.evaluation.report_parts import PIXEL, label, plural, system_cell, value_cell

HITS = 8
"""Hits that are shown of each system."""
MAX_QUERIES = 300
"""Queries whose hits are shown; of a larger tree those with the largest gains and losses."""
GAIN = "mAP@10"
"""The measure by which two systems are compared on one query (there it is AP@10)."""


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes:
        protocol: the queries.
        results: all systems, for the tables.
        left: the system in the left column, which is the baseline.
        right: the system beside it; the same as `left` where only one was measured.
        facts: label and text, for the head of the page.
        remarks: what a reader must know, in sentences.
    """

    protocol: TreeProtocol
    results: Sequence[SystemResult]
    left: SystemResult
    right: SystemResult
    facts: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def paired(self) -> bool:
        """Whether there are two systems to compare."""
        return self.left is not self.right

    def gain(self, index: int) -> float:
        """AP@10 of the right system minus that of the left, in percentage points."""
        return float(self.right.measures[GAIN][index] - self.left.measures[GAIN][index])

    def order(self) -> list[int]:
        """Indices of all queries, the largest gain first."""
        return sorted(range(len(self.protocol.queries)), key=lambda index: (-round(self.gain(index), 6), index))

    def shown(self) -> set[int]:
        """Indices of the queries whose hits are shown."""
        order = sorted(self.order(), key=lambda index: -abs(round(self.gain(index), 6)))
        return set(order[:MAX_QUERIES])

    def pictured(self) -> list[str]:
        """Ids of the products whose pictures the report needs, each once, in the order of their first appearance."""
        shown = self.shown()
        below = (
            int(position)
            for index in self.order()
            if index in shown
            for result in (self.left, self.right)
            for position in result.rankings[index][:HITS]
        )
        above = (
            int(position)
            for index in insight.highlighted(self.protocol, self.left, self.right)
            for position in self.right.rankings[index][: insight.STRIP]
        )
        return [self.protocol.ids[position] for position in dict.fromkeys([*below, *above])]


def choose_pair(results: Sequence[SystemResult]) -> tuple[SystemResult, SystemResult]:
    """The two systems to set side by side: live BM25 and hybrid, or else offline BM25 and the first trained model.

    Args:
        results: at least one, in the order of measuring.
    """
    results = [result for result in results if result.system.without is None]
    by_kind = {(result.system.mode, result.system.where): result for result in reversed(results)}
    live = by_kind.get(("lexical", "live"))
    if live is not None and ("hybrid", "live") in by_kind:
        return live, by_kind["hybrid", "live"]
    left = by_kind.get(("lexical", "offline"), results[0])
    trained = [result for result in results if result.system.mode == "vector" and result.system.where == "offline"]
    named = [result for result in trained if not result.system.name.startswith("zero-shot")]
    return left, (named or trained or [left])[0]


def render(report: Report, thumbnails: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        report: what to show.
        thumbnails: product id to a small JPEG; a product without one gets a placeholder.
    """
    room = files("clipita.evaluation")
    page = Template(room.joinpath("report.html").read_text(encoding="utf-8"))
    script = room.joinpath("report_script.html").read_text(encoding="utf-8").strip()
    script = script.removeprefix("<script>").removesuffix("</script>")
    classes = {
        product_id: f"p{number}" for number, product_id in enumerate(report.pictured()) if product_id in thumbnails
    }
    shown = report.shown()
    return page.substitute(
        style=room.joinpath("report.css").read_text(encoding="utf-8"),
        pictures="\n".join(_picture_rule(classes[product_id], thumbnails[product_id]) for product_id in classes),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        facts=_facts(report.facts),
        remarks="".join(f"<li>{escape(remark)}</li>" for remark in report.remarks),
        has_remarks="" if report.remarks else "hidden",
        relevance=RELEVANCE,
        not_asked=insight.not_asked(report.protocol.excluded),
        summary=_summary(report),
        comparisons=insight.comparisons(report.results),
        has_comparisons="" if report.paired else "hidden",
        highlights=insight.highlights(report.protocol, report.left, report.right, classes),
        shown_system=escape(label(report.right)),
        mistakes=insight.mistakes(report.protocol, report.results),
        pairs=insight.pairs(report.protocol, report.right),
        confusion_map=insight.confusion_map(report.protocol, report.right),
        categories=insight.categories(report.protocol, report.results),
        groups=_groups(report),
        intro=_intro(report, len(shown)),
        levels=_level_options(report.protocol.queries),
        gain_sorts=_GAIN_SORTS if report.paired else "",
        queries="\n".join(_query(report, index, classes, index in shown) for index in report.order()),
    )


_GAIN_SORTS = '<option value="gain">largest gain</option><option value="loss">largest loss</option>'


def _picture_rule(name: str, jpeg: bytes) -> str:
    return f".{name}{{background-image:url(data:image/jpeg;base64,{base64.b64encode(jpeg).decode()})}}"


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())


def _summary(report: Report) -> str:
    best = {name: max(result.mean(name) for result in report.results) for name in MEASURES}
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in MEASURES)
    rows = (
        f"<tr>{system_cell(result.system)}{''.join(value_cell(result.mean(name), best[name]) for name in MEASURES)}"
        f'<td class="plain">{_interval(result)}</td></tr>'
        for result in report.results
    )
    head += '<th scope="col">R-precision, 95 %</th>'
    return f'<thead><tr><th scope="col">System</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'


def _interval(result: SystemResult) -> str:
    low, high = bootstrap_interval(result.measures["R-precision"])
    return f"{low:.1f} to {high:.1f}"


def _groups(report: Report) -> str:
    groups = report.protocol.groups()
    best = {
        name: max(result.mean("R-precision", chosen) for result in report.results) for name, chosen in groups.items()
    }
    head = "".join(
        f'<th scope="col">{escape(name)}<small>{len(chosen)} {plural(len(chosen), "query", "queries")}</small></th>'
        for name, chosen in groups.items()
    )
    rows = (
        f"<tr>{system_cell(result.system)}"
        f"{''.join(value_cell(result.mean('R-precision', chosen), best[name]) for name, chosen in groups.items())}</tr>"
        for result in report.results
    )
    return f'<thead><tr><th scope="col">R-precision</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'


def _intro(report: Report, shown: int) -> str:
    left, right = escape(label(report.left)), escape(label(report.right))
    queries = len(report.protocol.queries)
    if report.paired:
        gains = [report.gain(index) for index in range(queries)]
        better, worse = sum(gain > 0.05 for gain in gains), sum(gain < -0.05 for gain in gains)
        text = (
            f"By AP@10, <b>{right}</b> beats <b>{left}</b> on {better} of {queries} queries, loses on {worse} and "
            f"draws on {queries - better - worse}. Open a query to see the first {HITS} hits of both."
        )
    else:
        text = f"Open a query to see the first {HITS} hits of <b>{left}</b>."
    if shown < queries:
        text += f" Hits are kept for the {shown} queries with the largest gains and losses."
    return text


def _level_options(queries: Sequence[CategoryQuery]) -> str:
    levels = sorted({query.level for query in queries})
    return "".join(f'<option value="{level}">level {level}</option>' for level in levels)


def _query(report: Report, index: int, classes: Mapping[str, str], with_hits: bool) -> str:
    query = report.protocol.queries[index]
    left, right = (float(result.measures[GAIN][index]) for result in (report.left, report.right))
    data = (
        f'data-name="{escape(query.text.casefold())}" data-level="{query.level}" data-leaf="{int(query.leaf)}" '
        f'data-gain="{report.gain(index):.4f}" data-relevant="{len(query.relevant)}" data-score="{right:.4f}"'
    )
    kind = f"level {query.level}{', leaf' if query.leaf and query.level > 1 else ''}"
    count = f"{len(query.relevant):,} {plural(len(query.relevant), 'product', 'products')}"
    head = (
        f'<span class="name">{escape(query.text)}</span>'
        f'<span class="about">{kind} · {count}</span>{_comparison(report, index, left, right)}'
    )
    if not with_hits:
        return f'<article class="query" id="q{index}" {data}><div class="head">{head}</div></article>'
    columns = [_column(report, result, index, classes) for result in _columns(report)]
    return (
        f'<article class="query" id="q{index}" {data}><details><summary class="head">{head}</summary>'
        f'<p class="paths">{_paths(query.paths)}</p><div class="columns">{"".join(columns)}</div></details></article>'
    )


def _columns(report: Report) -> tuple[SystemResult, ...]:
    return (report.left, report.right) if report.paired else (report.left,)


def _comparison(report: Report, index: int, left: float, right: float) -> str:
    if not report.paired:
        return f'<span class="numbers">AP@10 <b>{left:.0f}</b></span>'
    gain = report.gain(index)
    side = "up" if gain > 0.05 else "down" if gain < -0.05 else "even"
    return (
        f'<span class="numbers">{left:.0f} → <b>{right:.0f}</b></span>'
        f'<span class="gain {side}" style="--g:{abs(gain):.1f}"><i></i><em>{gain:+.0f}</em></span>'
    )


def _paths(paths: Iterable[Sequence[str]]) -> str:
    return "<br>".join(escape(" › ".join(path)) for path in paths)


def _column(report: Report, result: SystemResult, index: int, classes: Mapping[str, str]) -> str:
    query = report.protocol.queries[index]
    relevant = set(query.relevant.tolist())
    hits = [int(position) for position in result.rankings[index][:HITS]]
    cards = "".join(
        _hit(report.protocol.products[position], rank, position in relevant, classes)
        for rank, position in enumerate(hits, start=1)
    )
    right = sum(position in relevant for position in hits)
    body = f"<ol>{cards}</ol>" if hits else '<p class="none">It finds nothing for this name.</p>'
    return (
        f"<section><h3>{escape(label(result))} <small>{right} of {len(hits)} right · "
        f"R-precision {result.measures['R-precision'][index]:.0f}</small></h3>{body}</section>"
    )


def _hit(product: Product, rank: int, right: bool, classes: Mapping[str, str]) -> str:
    title = product.title or f"(no title) {product.id}"
    picture = (
        f'<img class="{classes[product.id]}" src="{PIXEL}" alt="{escape(title)}">'
        if product.id in classes
        else '<span class="nopicture">no picture</span>'
    )
    where = " › ".join(product.category_path) or "no category"
    mark = "✓ right" if right else "✗ wrong"
    tip = escape(f"{title} — {where} — id {product.id}")
    return (
        f'<li class="{"right" if right else "wrong"}" title="{tip}">'
        f'{picture}<span class="mark">{rank} {mark}</span><span class="title">{escape(title)}</span>'
        f'<span class="where">{escape(where)}</span></li>'
    )
