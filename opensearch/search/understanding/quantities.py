"""Numbers of a query as ranges: "under 1000", "below 700 rs", "50-80 €", "between 40 and 42". English alone.

Words of comparison, signs of currencies and units belong to the language, not to the shop, so they stand here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Bound = Literal["gt", "gte", "lt", "lte"]

_BOUNDS: dict[str, Bound] = {
    "under": "lt", "below": "lt", "less than": "lt", "cheaper than": "lt", "lower than": "lt", "<": "lt",
    "up to": "lte", "upto": "lte", "at most": "lte", "no more than": "lte", "not more than": "lte", "max": "lte",
    "maximum": "lte", "<=": "lte",
    "over": "gt", "above": "gt", "more than": "gt", "higher than": "gt", ">": "gt",
    "at least": "gte", "from": "gte", "starting at": "gte", "starting from": "gte", "min": "gte", "minimum": "gte",
    ">=": "gte",
}  # fmt: skip
_WEAK = {"max", "maximum", "min", "minimum", "from"}
"""Words that stand beside a number for other reasons too (air max 90), so that a currency must be there."""
_CURRENCIES = (
    r"usd|eur|gbp|inr|jpy|cny|chf|cad|aud|nzd|sek|nok|dkk|pln|czk|huf|ron|brl|mxn|zar|sgd|hkd|krw|thb|idr|php|vnd|aed"
    r"|sar|ils|egp|ngn|kes|pkr|bdt|lkr|npr|uah|rs\.?|re|dollars?|bucks?|euros?|pounds?|rupees?|yen"
)
_UNITS = (
    "%|percent|years?|yrs?|months?|days?|hours?|hrs?|minutes?|pieces?|pcs?|kg|gms?|g|grams?|mg|lbs?|oz|ml|cl|ltr|l|lit(?:"
    "re|er)s?|mm|cm|met(?:re|er)s?|m|inch(?:es)?|ft|feet|foot|gb|mb|tb|mp|mah|watts?|w|volts?|v|hz"
)
_SIGN = "[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20cf]"
_CURRENCY = rf"(?:{_SIGN}|(?:{_CURRENCIES})(?![^\W\d_]))"
_WORDS = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in _BOUNDS)


def _amount(name: str) -> str:
    digits = r"\d{1,12}(?:[.,]\d{1,12}){0,4}"
    return (
        rf"(?:(?P<{name}_before>{_CURRENCY})\s*)?(?P<{name}>{digits})(?P<{name}_k>\s?k\b)?"
        rf"(?:\s*(?P<{name}_after>{_CURRENCY}))?"
    )


_PHRASE = re.compile(
    rf"(?<![\w.,])(?:"
    rf"(?:between|from)\s+{_amount('from')}\s*(?:and|to|[-–—])\s*{_amount('to')}"
    rf"|(?P<bound>{_WORDS})\s*{_amount('only')}"
    rf"|{_amount('low')}\s*(?:to|[-–—])\s*{_amount('high')}"
    rf"|{_amount('bare')}"
    rf")(?![\w%]|[.,]\d|\s?[-–—]\s?\d)(?!\s*(?:{_UNITS})(?!\w))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a range of numbers in a text.

    Attributes:
        start: of the phrase, in characters.
        end: behind the phrase.
        bounds: as a filter takes them, `{"lt": 1000}`; both of them equal for a number alone.
        of_price: whether it can only be a price: it has a word of comparison, or is a range with a currency.
    """

    start: int
    end: int
    bounds: dict[Bound, float]
    of_price: bool


def whole(number: float) -> int | float:
    """A number without a fraction as a whole number, where 64 bits hold it: JSON writes others with an exponent."""
    return int(number) if number.is_integer() and -(2**63) <= number < 2**64 else number


def quantities(text: str) -> Iterator[Quantity]:
    """The numbers of a text that have no other unit than a currency, in order."""
    if not any(character.isdigit() for character in text):
        return
    for match in _PHRASE.finditer(text):
        found = {name: value for name, value in match.groupdict().items() if value is not None}
        bounds = _bounds(found)
        if bounds is None:
            continue
        money = any(name.endswith(("_before", "_after")) for name in found)
        compared = "from" in found or ("bound" in found and found["bound"].lower() not in _WEAK)
        yield Quantity(match.start(), match.end(), bounds, compared or (money and "bare" not in found))


def _bounds(found: dict[str, str]) -> dict[Bound, float] | None:
    if "only" in found:
        return {_BOUNDS[" ".join(found["bound"].lower().split())]: _number(found, "only")}
    if "bare" in found:
        number = _number(found, "bare")
        return {"gte": number, "lte": number}
    low, high = ("from", "to") if "from" in found else ("low", "high")
    bounds: dict[Bound, float] = {"gte": _number(found, low), "lte": _number(found, high)}
    return bounds if bounds["gte"] <= bounds["lte"] else None


def _number(found: dict[str, str], name: str) -> float:
    """A number as English writes it: 1,000.50; a comma before other than three digits is a decimal one."""
    digits = found[name]
    if re.fullmatch(r"\d+(?:\.\d{3})*,\d{1,2}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    digits = digits.replace(",", "")
    number = float(digits if digits.count(".") < 2 else digits.replace(".", ""))
    return number * 1000 if f"{name}_k" in found else number
