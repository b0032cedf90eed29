"""Log lines as people and machines read them, and traces that cost nothing unless they are wanted."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from clipita.errors import MissingExtraError
from clipita.logs import JsonFormatter, TextFormatter, configure_logs, configure_traces, span


@pytest.fixture(autouse=True)
def own_logger() -> Iterator[None]:
    """The logger `clipita` as it was before the test."""
    logger = logging.getLogger("clipita")
    before = (logger.level, logger.propagate, logger.handlers)
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1:]


def record(message: str, *, failed: bool = False, **extra: object) -> logging.LogRecord:
    error = None
    if failed:
        try:
            int("wrong")
        except ValueError:
            error = sys.exc_info()
    made = logging.LogRecord("clipita.test", logging.INFO, "file.py", 1, message, ("x",), error)
    made.created = 0.25
    made.__dict__.update(extra)
    return made


def test_json_is_one_object_per_line() -> None:
    line = JsonFormatter().format(record("read %s\nnext", rows=3, path=["A", "\u00e9"]))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "info",
        "logger": "clipita.test",
        "message": "read x\nnext",
        "rows": 3,
        "path": ["A", "\u00e9"],
    }
    assert (
        "ValueError: invalid literal" in json.loads(JsonFormatter().format(record("read %s", failed=True)))["traceback"]
    )


def test_text_keeps_control_characters_from_the_terminal() -> None:
    line = TextFormatter().format(record("read %s\x1b[31m", rows=3, title="a\nb\x07"))
    assert line == "00:00:00 info clipita.test read x [31m rows=3 title=a b "
    assert TextFormatter().format(record("read %s", failed=True)).endswith("'wrong'")


@pytest.mark.parametrize(("level", "shown"), [("debug", 2), ("info", 1), ("error", 0)])
def test_only_the_logger_of_clipita_is_configured(level: str, shown: int, capsys: pytest.CaptureFixture[str]) -> None:
    root = list(logging.getLogger().handlers)
    configure_logs(level, "json")
    configure_logs(level, "json")  # a second call adds no second line
    logging.getLogger("clipita.part").debug("detail")
    logging.getLogger("clipita.part").info("step")
    logging.getLogger("another").error("not ours")
    assert len(capsys.readouterr().err.splitlines()) == shown
    assert logging.getLogger().handlers == root


def test_spans_are_made_by_whoever_loaded_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    with span("search", {"index": "products"}):
        assert "opentelemetry.trace" not in sys.modules


def test_traces_need_the_extra_where_a_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_traces({})
    configure_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"})
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # as where it is not installed
    with pytest.raises(MissingExtraError, match=r"clipita\[otel\]"):
        configure_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
