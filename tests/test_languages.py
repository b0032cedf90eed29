"""The table of languages, and what is said about an unknown one."""

from __future__ import annotations

import pytest

from clipita.config import load
from clipita.errors import ConfigError
from clipita.languages import COMPOUNDING, LANGUAGES, language_of


@pytest.mark.parametrize(("name", "hint"), [("chech", "Did you mean czech?"), ("cs", "Known: arabic, ")])
def test_an_unknown_language_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"no language '{name}'") as caught:
        language_of(name)
    assert hint in str(caught.value.hint)


def test_articles_are_those_of_the_elision() -> None:
    assert "qu" in LANGUAGES["french"].articles
    assert LANGUAGES["czech"].articles == ()
    assert set(COMPOUNDING) < set(LANGUAGES)


def test_the_language_is_a_setting_of_ingest() -> None:
    assert load(environ={}).ingest.language == "english"
    assert load(environ={"CLIPITA_INGEST_LANGUAGE": "czech"}).ingest.language == "czech"
