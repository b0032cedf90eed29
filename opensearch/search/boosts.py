"""Boosts by business signals: popularity, stock, recency, margin.

Each boost multiplies the score by a factor

    1 + weight * signal,    0 <= signal <= 1

so its effect is bounded: with weight 0.2 a best-seller overtakes a product without sales only if that one's score is
less than 20 % higher. A product that lacks the field has signal 0, hence factor 1. A negative weight demotes.

| kind | signal of the field's value x |
|---|---|
| popularity | x / (x + half): sales, clicks, ratings; `half` is the value that counts one half |
| stock | 1 if x is true or above 0, else 0 |
| recency | 0.5 ^ (age in days / half_life); x is a date, an ISO date text, or milliseconds since 1970 |
| margin | (x - low) / (high - low), cut off at 0 and 1 |

The factors form a `function_score` query around the fused score (OpenSearch documentation, "Function score").
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from clipita.errors import UsageError

Kind = Literal["popularity", "stock", "recency", "margin"]

NUMBERS = frozenset(
    ("byte", "short", "integer", "long", "unsigned_long", "half_float", "float", "double", "scaled_float")
)
TYPES: dict[Kind, frozenset[str]] = {
    "popularity": NUMBERS,
    "margin": NUMBERS,
    "stock": NUMBERS | {"boolean"},
    "recency": NUMBERS | {"date", "date_nanos", "keyword"},
}
_PARAMETERS: dict[Kind, tuple[str, ...]] = {
    "popularity": ("half",),
    "stock": (),
    "recency": ("half_life",),
    "margin": ("low", "high"),
}
_DAY = 86_400_000

_SCRIPT = (
    "if (doc[params.field].size() == 0) return 1.0; def x = doc[params.field].value; double s = 0.0; "
    "{} return 1.0 + params.weight * s;"
)
_DECAY = "s = Math.pow(0.5, Math.max(0.0, (params.now - t) / 86400000.0) / params.half_life);"
_SIGNALS = {
    "popularity": "double y = Math.max(0.0, (double) x); s = y / (y + params.half);",
    "stock": "s = (x instanceof Boolean ? x : x > 0) ? 1.0 : 0.0;",
    "margin": "s = Math.min(1.0, Math.max(0.0, (x - params.low) / (params.high - params.low)));",
    "recency number": f"double t = (double) x; {_DECAY}",
    "recency date": f"double t = x.toInstant().toEpochMilli(); {_DECAY}",
    # An invalid date gives no boost: one odd value must not break the search.
    "recency text": (
        "try { double t = LocalDate.parse(x.substring(0, 10)).toEpochDay() * 86400000.0; "
        f"{_DECAY} }} catch (Exception e) {{ s = 0.0; }}"
    ),
}


@dataclass(frozen=True)
class Boost:
    """One signal.

    Attributes:
        kind: popularity, stock, recency or margin.
        field: the field's name, of the shop or in the mapping.
        weight: above -1; the share that the full signal adds to the score.
        half: of popularity, the value that counts one half; above 0.
        half_life: of recency, days; above 0.
        low: of margin, the value from which the signal rises.
        high: of margin, the value at which it is full.
    """

    kind: Kind
    field: str
    weight: float
    half: float = 100.0
    half_life: float = 30.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"There is no boost {self.kind!r}.", hint=f"Use one of: {', '.join(get_args(Kind))}.")
        if not -1 < self.weight < math.inf:
            raise UsageError(f"The boost {self.kind} has weight {self.weight}.", hint="Use a number above -1.")
        if not (0 < self.half < math.inf and 0 < self.half_life < math.inf):
            raise UsageError(f"The boost {self.kind} has no positive half.", hint="Use a number above 0.")
        if not -math.inf < self.low < self.high < math.inf:
            raise UsageError(f"The boost {self.kind} rises from {self.low} to {self.high}.", hint="low must be less.")

    @property
    def name(self) -> str:
        """Its name in an explanation."""
        return f"{self.kind}({self.field})"

    @classmethod
    def parse(cls, text: str) -> Boost:
        """A boost as clipita.toml and the command line write it: `kind:field:weight` and the kind's numbers.

        For instance `popularity:sales:0.2:100`, `stock:in_stock:0.3`, `recency:added:0.2:30`, `margin:gain:0.1:0:1`.
        """
        kind, *rest = text.split(":")
        if kind not in _PARAMETERS or len(rest) < 2:
            raise UsageError(f"{text!r} is not a boost.", hint=_FORM)
        field, *numbers = rest
        names = ("weight", *_PARAMETERS[kind])
        try:
            values = [float(number) for number in numbers]
        except ValueError:
            raise UsageError(f"{text!r} is not a boost.", hint=_FORM) from None
        if len(values) > len(names):
            raise UsageError(f"{text!r} has a number too many.", hint=_FORM)
        return cls(kind, field, **dict(zip(names, values, strict=False)))


TypedBoost = tuple[Boost, str]
"""A boost with its field's path, and that field's type in the mapping."""

_FORM = "Write kind:field:weight, for instance popularity:sales:0.2:100 (sales that count half) or stock:in_stock:0.3."


def boosted(query: dict[str, Any], boosts: Sequence[TypedBoost]) -> dict[str, Any]:
    """The query with its score multiplied by all factors."""
    functions = [{"script_score": {"script": factor_script(boost, kind)}} for boost, kind in boosts]
    return {
        "function_score": {"query": query, "functions": functions, "score_mode": "multiply", "boost_mode": "multiply"}
    }


def factor_script(boost: Boost, field_type: str) -> dict[str, Any]:
    """A boost's factor as a script; the boost has its field's path, and `field_type` is that field's type.

    The source is the same for all values of its numbers, so that the cluster compiles it once. Ages are counted from
    the last midnight UTC: within a day the same search gives the same scores.
    """
    signal: str = boost.kind
    params: dict[str, Any] = {"field": boost.field, "weight": float(boost.weight)}
    params |= {name: float(getattr(boost, name)) for name in _PARAMETERS[boost.kind]}
    if boost.kind == "recency":
        signal = f"recency {'number' if field_type in NUMBERS else 'text' if field_type == 'keyword' else 'date'}"
        params["now"] = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000) // _DAY * _DAY
    return {"source": _SCRIPT.format(_SIGNALS[signal]), "params": params}
