"""The tree of errors in the module's docstring is the tree of its classes, and an error says what to do."""

from __future__ import annotations

import inspect
import re

from clipita import errors


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = re.findall(r"(?m)^ *[│├└─ ]*(\w+Error)\b", errors.__doc__ or "")
    defined = [name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert sorted(drawn) == sorted(defined)


def test_the_drawn_tree_is_the_real_one() -> None:
    ancestors: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"([│├└─ ]*)(\w+Error)\b", line)
        if drawn is None:
            continue
        indent = len(drawn[1])
        ancestors = [(depth, name) for depth, name in ancestors if depth < indent]
        parent = ancestors[-1][1] if ancestors else "Exception"
        assert getattr(errors, drawn[2]).__base__.__name__ == parent, f"{drawn[2]} is drawn below {parent}"
        ancestors.append((indent, drawn[2]))


def test_an_error_is_its_message_and_its_hint() -> None:
    error = errors.CatalogueError("a.csv is empty.", hint="Name another file.")
    assert str(error) == "a.csv is empty. Name another file."
    assert (error.message, error.hint, error.exit_code) == ("a.csv is empty.", "Name another file.", 1)
    assert str(errors.CatalogueError("a.csv is empty.")) == "a.csv is empty."


def test_wrong_usage_has_an_exit_code_of_its_own() -> None:
    assert errors.MissingExtraError("torch", "train").exit_code == 2
    assert "pip install 'clipita[train]'" in str(errors.MissingExtraError("torch", "train"))
    assert errors.RequestError("Unknown.", status=404).status == 404
