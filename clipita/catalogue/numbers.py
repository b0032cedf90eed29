"""Numbers and prices as people and shops write them: "1.299,00 €", "199 CZK", "$10 - $20"."""

from __future__ import annotations

import re
from typing import NamedTuple

NOTHING = frozenset(("", "-", "--", "\u2013", "n/a", "na", "nan", "none", "null"))
"""Cells that say, in lower case, that there is no number."""
LONGEST = 60
"""Characters; a longer text is no number."""

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR "
    "LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
    "PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
"""ISO 4217."""
_LOCAL = (
    r"Kč|zł|kr\.?|Ft|lei|лв\.?|ден\.?|дин\.?|руб\.?|р\.|грн\.?|Rs\.?|Fr\.|SFr\.?|R\$|(?:US|AU?|CA?|NZ?|HK|SG?|NT)?\$|S/\.?|RM"
    r"|Rp\.?|TL|din\.?|Dhs?\.?|euros?|元|円"
)
_SIGN = "[$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20cf]"
_CURRENCY = rf"(?:{_SIGN}|(?:(?-i:{_CODES.replace(' ', '|')})|{_LOCAL})(?![^\W\d_]))"
_BLANK = r"[ \u00a0\u2009\u202f]"
_AMOUNT = re.compile(
    rf"(?P<minus>[-\u2212])?{_BLANK}?(?P<before>{_CURRENCY})?{_BLANK}*(?P<digits>\d[\d.,'\u2019 \u00a0\u2009\u202f]*?)"
    rf"(?:,[-\u2013\u2014]|\.-)?{_BLANK}*(?P<after>{_CURRENCY})?",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(.*\d\S*)\s*(?:\s[-\u2013\u2014]\s|\u2013|(?<=\d)-(?=\d)|\bto\b|\bbis\b)\s*(.*\d.*)", re.IGNORECASE
)
_FROM = re.compile(r"(?:from|ab|od|à partir de|desde)\s+(?=.*\d)", re.IGNORECASE)
_PLAIN = re.compile(r"[-+]?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?")
_GAP = r"'\u2019 \u00a0\u2009\u202f"
_GROUPS = {
    # India groups by two digits before the last three.
    ".": re.compile(rf"(?:\d+|\d{{1,3}}(?:[,{_GAP}]\d{{2,3}})*[,{_GAP}]\d{{3}})(?:\.\d+)?"),
    ",": re.compile(rf"(?:\d+|\d{{1,3}}(?:[.{_GAP}]\d{{3}})+)(?:,\d+)?"),
}
"""The mark before the decimals to what a number with it looks like."""


class Amount(NamedTuple):
    """A number, or a range of numbers, and the currency as written; it is empty without one."""

    value: float | int
    most: float | int | None = None
    currency: str = ""


def read_amount(text: str, decimal: str = ".") -> Amount | None:
    """What a text says as a number; None for any other text, for codes with a leading zero, and for other units.

    Args:
        text: a cell.
        decimal: the mark before decimals, a point or a comma; the other one groups thousands.
    """
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if _PLAIN.fullmatch(text) and decimal == ".":
        return Amount(_number(text))
    text = _FROM.sub("", text, count=1)
    single = _single(text, decimal)
    if single is not None:
        return single
    match = _RANGE.fullmatch(text)
    low, high = (_single(part.strip(), decimal) for part in match.groups()) if match else (None, None)
    if low is None or high is None or low.value > high.value:
        return None
    return Amount(low.value, high.value, low.currency or high.currency)


def decimals_of(text: str) -> str | None:
    """The only mark that the decimals of a text can have, as 1.299,00 and 9,99 show; None where both could be."""
    found = {mark: amount for mark in _GROUPS if (amount := read_amount(text, mark)) is not None}
    money = any(amount.currency for amount in found.values())
    fits = [mark for mark in found if not (money and _three_decimals(text, mark))]
    return fits[0] if len(fits) == 1 else None


def _single(text: str, decimal: str) -> Amount | None:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        return None
    before, digits, after = match["before"], match["digits"].strip(), match["after"]
    if not _GROUPS[decimal].fullmatch(digits) or (digits[0] == "0" and digits[1:2].isdigit()):
        return None
    other = "," if decimal == "." else "."
    plain = re.sub(r"[\s'\u2019\u00a0\u2009\u202f]", "", digits).replace(other, "").replace(decimal, ".")
    if len(plain) > 18:
        return None
    value = _number(plain)
    return Amount(-value if match["minus"] else value, None, before or after or "")


def _three_decimals(text: str, decimal: str) -> bool:
    """Money has no three decimals, so that 1.299 € is a thousand."""
    return re.search(rf"{re.escape(decimal)}\d{{3}}(?!\d)", text) is not None and text.count(decimal) == 1


def _number(text: str) -> float | int:
    return float(text) if any(mark in text for mark in ".eE") else int(text)
