"""The report's sections on why: which categories, which mistakes, what is confused with what, and how sure all is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from clipita.catalogue.product import CategoryPath
from clipita.evaluation.mistakes import Errors, count_errors, looked_at
from clipita.evaluation.protocol import SystemResult, TreeProtocol
from clipita.evaluation.report_parts import PIXEL, label, plural, system_cell, value_cell
from clipita.evaluation.summary import compare

SHOWN = 6
"""Categories that each of best, worst and most improved lists."""
STRIP = 4
"""Pictures beside each."""
MAP_SIZE = 60
"""Rows that the confusion map has at most; of a larger tree it shows the roots."""
PAIRS = 12
SIGNIFICANT = 0.05


def comparisons(results: Sequence[SystemResult]) -> str:
    """Every pair of systems: difference, interval, and how likely chance alone gives as much."""
    whole = [result for result in results if result.system.without is None]
    names = {result.system.key: _full_name(result) for result in whole}
    rows = []
    for pair in compare(whole):
        low, high = pair["difference 95%"]
        sure = pair["p (Holm)"] < SIGNIFICANT
        rows.append(
            f'<tr><th scope="row">{names[pair["right"]]} <span class="minus">minus</span> {names[pair["left"]]}</th>'
            f'<td class="plain"><b>{pair["difference"]:+.1f}</b></td><td class="plain">{low:+.1f} to {high:+.1f}</td>'
            f'<td class="plain">{_p(pair["p"])}</td><td class="plain">{_p(pair["p (Holm)"])}</td>'
            f'<td class="plain">{"significant" if sure else "could be chance"}</td></tr>'
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("difference", "95 % interval", "p", "p, Holm", ""))
    return f'<thead><tr><th scope="col">R-precision</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'


def highlights(protocol: TreeProtocol, left: SystemResult, right: SystemResult, classes: Mapping[str, str]) -> str:
    """The categories that fare best, worst and, beside a baseline, improved most, with their first hits."""
    values = right.measures["R-precision"]
    gains = values - left.measures["R-precision"]
    best, worst, improved = _extremes(protocol, left, right)
    parts = [
        _list("Best", best, protocol, right, lambda index: f"{values[index]:.0f}", classes),
        _list("Worst", worst, protocol, right, lambda index: f"{values[index]:.0f}", classes),
    ]
    if left is not right:
        title = f"Most improved against {escape(label(left))}"
        parts.append(_list(title, improved, protocol, right, lambda index: f"{gains[index]:+.0f}", classes))
    return "".join(parts)


def highlighted(protocol: TreeProtocol, left: SystemResult, right: SystemResult) -> list[int]:
    """Indices of the queries that `highlights` shows."""
    return [index for chosen in _extremes(protocol, left, right) for index in chosen]


def mistakes(protocol: TreeProtocol, results: Sequence[SystemResult]) -> str:
    """For each system, where its wrong hits lie."""
    rows = []
    for result in results:
        errors = count_errors(protocol, result)
        bar = "".join(
            f'<i class="{kind}" style="--v:{100 * count / errors.hits:.2f}" title="{name}: {count:,}"></i>'
            for kind, name, count in _kinds(errors)
            if errors.hits
        )
        shares = "".join(
            f'<td class="plain">{100 * count / errors.wrong:.0f} %</td>' if errors.wrong else '<td class="plain">–</td>'
            for kind, _, count in _kinds(errors)
            if kind != "right"
        )
        rows.append(
            f'<tr>{system_cell(result.system)}<td class="plain"><span class="stack">{bar}</span></td>'
            f'<td class="plain">{errors.wrong:,} of {errors.hits:,}</td>{shares}'
            f'<td class="plain levels">{_levels(errors)}</td></tr>'
        )
    heads = ["first hits", "wrong", "other tree", "shallower", "same level", "deeper", "no category", "levels off"]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f'<thead><tr><th scope="col">System</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'


def pairs(protocol: TreeProtocol, result: SystemResult) -> str:
    """The categories that are confused most often, as sentences."""
    errors = count_errors(protocol, result)
    items = (
        f"<li><b>{escape(asked[-1])}</b> was asked, <b>{escape(got[-1] if got else 'no category')}</b> came "
        f"<span>{count:,} {plural(count, 'time', 'times')}, {_relation(asked, got)}</span></li>"
        for (asked, got), count in errors.confusions.most_common(PAIRS)
    )
    return "".join(items) or "<li>No wrong hit among the first ones.</li>"


def confusion_map(protocol: TreeProtocol, result: SystemResult) -> str:
    """Asked categories against those of their wrong hits, both cut to two levels, ordered and ruled by tree."""
    depth = 2 if len({path[:2] for query in protocol.queries for path in query.paths}) <= MAP_SIZE else 1
    wrong: dict[CategoryPath, Counter[CategoryPath]] = {}
    looked: Counter[CategoryPath] = Counter()
    right: Counter[CategoryPath] = Counter()
    for query, hits in zip(protocol.queries, looked_at(protocol, result), strict=True):
        for hit in hits:
            row = (hit.asked if hit else query.paths[0])[:depth]
            looked[row] += 1
            if hit is None:
                right[row] += 1
            else:
                wrong.setdefault(row, Counter())[hit.got[:depth]] += 1
    rows = sorted(row for row in looked if wrong.get(row))
    columns = sorted({got for row in rows for got in wrong[row] if got != row})
    head = "".join(
        f'<th scope="col" class="{_edge(columns, at)}"><span>{escape(" › ".join(path) or "no category")}</span></th>'
        for at, path in enumerate(columns)
    )
    body = "".join(
        f'<tr class="{_edge(rows, at)}"><th scope="row">{escape(" › ".join(row))}</th>'
        f"{_map_cell('ok', right[row], looked[row])}{_map_cell('own', wrong[row][row], looked[row])}"
        + "".join(
            _map_cell(
                f"{'tree' if path[:1] == row[:1] else 'far'} {_edge(columns, number)}",
                wrong[row][path] if path != row else 0,
                looked[row],
            )
            for number, path in enumerate(columns)
        )
        + "</tr>"
        for at, row in enumerate(rows)
    )
    return (
        f'<thead><tr><th scope="col">asked</th><th scope="col"><span>right</span></th>'
        f'<th scope="col"><span>within itself</span></th>{head}</tr></thead><tbody>{body}</tbody>'
    )


def categories(protocol: TreeProtocol, results: Sequence[SystemResult]) -> str:
    """R-precision of every category under every system."""
    head = "".join(f'<th scope="col">{_full_name(result)}</th>' for result in results)
    rows = []
    for index, query in enumerate(protocol.queries):
        values = [float(result.measures["R-precision"][index]) for result in results]
        seen = protocol.is_seen(query)
        note = "" if seen is not False else ' <span class="chip">unseen</span>'
        cells = "".join(value_cell(value, max(values)) for value in values)
        rows.append(
            f'<tr><th scope="row" title="{escape(" / ".join(" › ".join(path) for path in query.paths))}">'
            f'{escape(query.text)}{note}</th><td class="plain">{query.level}</td>'
            f'<td class="plain">{len(query.relevant):,}</td>{cells}</tr>'
        )
    return (
        f'<thead><tr><th scope="col">Category</th><th scope="col">level</th><th scope="col">products</th>{head}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody>"
    )


def not_asked(names: Iterable[str]) -> str:
    """A sentence on the categories that no product of the catalogue belongs to."""
    listed = sorted(names)
    if not listed:
        return ""
    shown = ", ".join(escape(name) for name in listed[:20]) + (", …" if len(listed) > 20 else "")
    return (
        f"{len(listed):,} {plural(len(listed), 'category has', 'categories have')} no relevant product here and "
        f"{plural(len(listed), 'is', 'are')} not asked: {shown}."
    )


def _kinds(errors: Errors) -> list[tuple[str, str, int]]:
    return [
        ("right", "right", errors.right),
        ("far", "in another tree", errors.other_tree),
        ("up", "same tree, shallower", errors.shallower),
        ("level", "same tree, same level", errors.same_level),
        ("down", "same tree, deeper", errors.deeper),
        ("nowhere", "no category", errors.no_category),
    ]


def _levels(errors: Errors) -> str:
    return " · ".join(f"{levels:+d}: {count:,}" for levels, count in sorted(errors.levels.items())) or "–"


def _relation(asked: CategoryPath, got: CategoryPath) -> str:
    shared = next((at for at, (a, b) in enumerate(zip(asked, got, strict=False)) if a != b), min(len(asked), len(got)))
    if not got:
        return "which the catalogue put nowhere"
    if not shared:
        return f"another tree ({escape(got[0])})"
    if shared == len(got):
        return "a category above it"
    if shared == len(asked):
        return "a category below it"
    return "its sibling" if shared == len(asked) - 1 == len(got) - 1 else f"also below {escape(asked[shared - 1])}"


def _extremes(protocol: TreeProtocol, left: SystemResult, right: SystemResult) -> tuple[list[int], ...]:
    """Indices of the best, the worst and the most improved queries; among equal ones those of more products."""
    values = right.measures["R-precision"]
    gains = values - left.measures["R-precision"]
    by_size = sorted(range(len(values)), key=lambda index: -len(protocol.queries[index].relevant))
    improved = [index for index in sorted(by_size, key=lambda index: -gains[index]) if gains[index] > 0]
    return (
        sorted(by_size, key=lambda index: -values[index])[:SHOWN],
        sorted(by_size, key=lambda index: values[index])[:SHOWN],
        improved[:SHOWN],
    )


def _list(
    title: str,
    chosen: Sequence[int],
    protocol: TreeProtocol,
    result: SystemResult,
    figure: Callable[[int], str],
    classes: Mapping[str, str],
) -> str:
    items = "".join(
        f'<li><a href="#q{index}">{escape(protocol.queries[index].text)}</a><b>{figure(index)}</b>'
        f'<span class="strip">{_strip(protocol, result, index, classes)}</span></li>'
        for index in chosen
    )
    return f'<section class="extremes"><h3>{title}</h3><ul>{items or "<li>none</li>"}</ul></section>'


def _strip(protocol: TreeProtocol, result: SystemResult, index: int, classes: Mapping[str, str]) -> str:
    relevant = set(protocol.queries[index].relevant.tolist())
    parts = []
    for position in result.rankings[index][:STRIP].tolist():
        product = protocol.products[position]
        kind = "right" if position in relevant else "wrong"
        picture = classes.get(product.id, "nopicture")
        title = escape(product.title or product.id)
        parts.append(f'<img class="{picture} {kind}" src="{PIXEL}" alt="{title}" title="{kind}: {title}">')
    return "".join(parts) or "finds nothing"


def _full_name(result: SystemResult) -> str:
    where = f' <span class="chip live">{result.system.where}</span>' if result.system.where == "live" else ""
    return f"{escape(label(result))}{where}"


def _p(value: float) -> str:
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def _edge(paths: Sequence[CategoryPath], at: int) -> str:
    """A rule where the next tree begins."""
    return "edge" if at and paths[at][:1] != paths[at - 1][:1] else ""


def _map_cell(kind: str, count: int, of: int) -> str:
    if not count:
        return f'<td class="{kind.strip()}"></td>'
    share = 100 * count / of
    return (
        f'<td class="{kind.strip()} on" style="--v:{share:.1f}" title="{count:,} of {of:,} first hits">{share:.0f}</td>'
    )
