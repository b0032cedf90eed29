"""Structured logs and OpenTelemetry spans.

Logs go to the standard library's logger `clipita`. Importing configures nothing, so an application that embeds clipita
keeps its own handlers. Spans cost nothing unless OpenTelemetry is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from clipita.errors import MissingExtraError

LogFormat = Literal["text", "json"]
LEVELS = ("debug", "info", "warning", "error")
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC, ISO 8601), level, logger, message, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as one line."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """One line of text: `12:00:00 debug clipita.opensearch request method=GET path=/`."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record as one line, followed by its traceback if it has one."""
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        # Values may come from a catalogue: their control characters must not reach a terminal.
        values = "".join(f" {name}={_printable(value)}" for name, value in _extras(record).items())
        line = f"{clock} {record.levelname.lower()} {record.name} {_printable(record.getMessage())}{values}"
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


def configure_logs(level: str = "warning", form: LogFormat = "text") -> None:
    """Send clipita's logs to stderr.

    Only the logger `clipita` is configured: at level debug the AWS and HTTP libraries would log signatures and headers.

    Args:
        level: one of `LEVELS`.
        form: text, or json with one object per line.
    """
    logger = logging.getLogger("clipita")
    logger.setLevel(level.upper())
    logger.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logger.handlers = [handler]


@contextmanager
def span(name: str, attributes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """An OpenTelemetry span around the body if OpenTelemetry is loaded, else nothing."""
    # sys.modules instead of an import: whoever does not trace pays nothing.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        yield
        return
    with trace.get_tracer("clipita").start_as_current_span(name, attributes=dict(attributes or {})):
        yield


def configure_traces(environ: Mapping[str, str] | None = None) -> None:
    """Send spans by OTLP over HTTP if the variable OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

    The other OTEL_* variables work as OpenTelemetry documents them.
    https://opentelemetry.io/docs/specs/otel/protocol/exporter/

    Raises:
        MissingExtraError: the variable is set but OpenTelemetry is not installed.
    """
    environ = os.environ if environ is None else environ
    if not environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise MissingExtraError("OpenTelemetry", "otel") from None
    name = environ.get("OTEL_SERVICE_NAME", "clipita")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _printable(value: Any) -> str:
    return "".join(character if character.isprintable() else " " for character in str(value))
