"""Every error belongs to one tree, and says what happened and what to do."""

from __future__ import annotations

import inspect

from clipita import errors


def test_every_error_says_in_one_line_when_it_is_raised() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert all(issubclass(kind, errors.ClipItaError) for kind in kinds)
    for kind in kinds:
        assert "__doc__" in vars(kind), kind
        assert (kind.__doc__ or "").splitlines()[0].endswith("."), kind


def test_an_error_is_its_message_and_its_hint() -> None:
    error = errors.CatalogueError("a.csv is empty.", hint="Name another file.")
    assert str(error) == "a.csv is empty. Name another file."
    assert (error.message, error.hint, error.exit_code) == ("a.csv is empty.", "Name another file.", 1)
    assert str(errors.CatalogueError("a.csv is empty.")) == "a.csv is empty."


def test_wrong_usage_has_an_exit_code_of_its_own() -> None:
    assert errors.MissingExtraError("torch", "train").exit_code == 2
    assert "pip install 'clipita[train]'" in str(errors.MissingExtraError("torch", "train"))
    assert errors.RequestError("Unknown.", status=404).status == 404
