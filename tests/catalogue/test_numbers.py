"""Numbers and prices as people write them."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipita.catalogue.numbers import LONGEST, Amount, decimals_of, read_amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", Amount(0)), ("12", Amount(12)), ("-5", Amount(-5)), ("9.5", Amount(9.5)), ("1e3", Amount(1000.0)),
        ("1,299", Amount(1299)), ("1,29,900.50", Amount(129900.5)), ("12 345", Amount(12345)),
        ("$5", Amount(5, None, "$")), ("US$ 5.10", Amount(5.1, None, "US$")), ("199 CZK", Amount(199, None, "CZK")),
        ("Rs. 450", Amount(450, None, "Rs.")), ("\u20b91,999", Amount(1999, None, "\u20b9")), ("99,-", Amount(99)),
        ("CHF 1'299.50", Amount(1299.5, None, "CHF")), ("$10 - $20", Amount(10, 20, "$")), ("10-20", Amount(10, 20)),
        ("from 10 \u20ac", Amount(10, None, "\u20ac")),
    ],
)  # fmt: skip
def test_numbers_with_a_decimal_point(text: str, amount: Amount) -> None:
    assert read_amount(text) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.299,00 \u20ac", Amount(1299.0, None, "\u20ac")), ("89,90 \u20ac", Amount(89.9, None, "\u20ac")),
        ("1\u00a0299,00 Kč", Amount(1299.0, None, "Kč")), ("R$ 1.299,90", Amount(1299.9, None, "R$")),
        ("1.299", Amount(1299)), ("0,5", Amount(0.5)),
    ],
)  # fmt: skip
def test_numbers_with_a_decimal_comma(text: str, amount: Amount) -> None:
    assert read_amount(text, ",") == amount


@pytest.mark.parametrize(
    "text",
    ["", "call us", "007", "5 kg", "3 in 1", "2024-01-02", "10:30", "1.2.3", "42 M", "12.5%", "TOPS 10", "top 10",
     "20 - 10", "1" * 30, "9" * (LONGEST + 1), "1-2 days", "$", "\u0661\u0662x"],
)  # fmt: skip
def test_other_texts_are_no_numbers(text: str) -> None:
    assert read_amount(text) is None
    assert read_amount(text, ",") is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [("1.299,00", ","), ("1,299.00", "."), ("9,99", ","), ("9.99", "."), ("1,299", None), ("1.299", None), ("12", None),
     ("1.299 \u20ac", ","), ("$1,299", "."), ("call us", None)],
)  # fmt: skip
def test_the_mark_before_decimals(text: str, mark: str | None) -> None:
    assert decimals_of(text) == mark


@given(st.text(string.digits + ".,'- $\u20ac\u00a0KčEUR", max_size=LONGEST))
def test_any_text_is_read_or_not(text: str) -> None:
    for mark in ".,":
        amount = read_amount(text, mark)
        assert amount is None or amount.most is None or amount.value <= amount.most


def test_long_rows_of_digits_take_no_time() -> None:
    began = time.perf_counter()
    for text in ("1 " * 30, "1," * 30, "1.1," * 15, "1-" * 30, "$" * 60, " " * 60):
        read_amount(text)
        decimals_of(text)
    assert time.perf_counter() - began < 1
