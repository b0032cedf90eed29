"""The settings files of the local node, written at every start."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipita.errors import UsageError
from clipita.opensearch.local.java import VECTOR_MODULE, Java

SMALLEST_HEAP_MB = 256
LOG_NAME = "opensearch.log"
PORTS_NAME = "http.ports"

# Relative paths in the original jvm.options point into the installation, which all projects share and must not change.
# Absolute paths are no alternative: bin/opensearch splits Java options at blanks.
DROPPED_OPTIONS = re.compile(r"^(-Xm[sx]|-XX:\+?Heap|-XX:ErrorFile|\S*-Xlog:gc|\s*#|\s*$)")

ML_COMMONS = {
    "plugins.ml_commons.only_run_on_ml_node": False,
    "plugins.ml_commons.allow_registering_model_via_local_file": True,
    "plugins.ml_commons.native_memory_threshold": 100,
    # A connector to `clipita serve` on this machine.
    "plugins.ml_commons.connector.private_ip_enabled": True,
    "plugins.ml_commons.trusted_connector_endpoints_regex": ["^http://127\\.0\\.0\\.1[:/].*$"],
}
"""What the plugin refuses by default: models on a node that does other work too, uploads, and local connectors.

https://docs.opensearch.org/latest/ml-commons-plugin/cluster-settings/
"""

LOG_SETTINGS = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:opensearch.logs.base_path}${sys:file.separator}opensearch.log
appender.file.filePattern = ${sys:opensearch.logs.base_path}${sys:file.separator}opensearch-%i.log.gz
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 16MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""


def check_heap(heap: str) -> str:
    """The heap size as Java reads it, such as `512m` or `2g`.

    Raises:
        UsageError: the size is not valid, or below the 256 MB that OpenSearch needs to start.
    """
    match = re.fullmatch(r"(\d+)([mg])b?", heap.strip().lower())
    if match is None:
        raise UsageError(f"The heap size {heap!r} is not valid.", hint="Write it as 512m or 2g.")
    megabytes = int(match[1]) * (1024 if match[2] == "g" else 1)
    if megabytes < SMALLEST_HEAP_MB:
        raise UsageError(f"A heap of {heap} is too small for OpenSearch.", hint=f"Use {SMALLEST_HEAP_MB}m or more.")
    return match[1] + match[2]


def write_settings(
    home: Path, server: Path, java: Java, heap: str, port: int, changes: Mapping[str, Any] | None = None
) -> None:
    """Write opensearch.yml with `changes`, log4j2.properties and jvm.options.

    The latter are the server's own, without what `java` does not know.
    """
    files = {
        "opensearch.yml": _node_settings(
            home, port, {**(ML_COMMONS if (server / "plugins" / "opensearch-ml").is_dir() else {}), **(changes or {})}
        ),
        "jvm.options": _java_options((server / "config" / "jvm.options").read_text(encoding="utf-8"), java, heap),
        "log4j2.properties": LOG_SETTINGS,
    }
    for name, text in files.items():
        (home / "config" / name).write_text(text, encoding="utf-8")


def _node_settings(home: Path, port: int, changes: Mapping[str, Any]) -> str:
    """opensearch.yml.

    Loopback only: this build has no security plugin, so whoever reaches the port may do everything.

    The disk thresholds are free bytes. The defaults are shares of the disk (85, 90 and 95 %): on the large disk of a
    workstation they make indices read-only with plenty of room left. Without thresholds an ingest could fill the disk.
    """
    settings = {
        # OpenSearch names its log after the cluster: opensearch.log.
        "cluster.name": "opensearch",
        "node.name": "local",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": port,
        "transport.port": 0,
        # Writes the chosen ports to a file, so no port has to be picked beforehand.
        "node.portsfile": True,
        "path.data": str(home / "data"),
        "path.logs": str(home / "logs"),
        "cluster.routing.allocation.disk.threshold_enabled": True,
        "cluster.routing.allocation.disk.watermark.low": "2gb",
        "cluster.routing.allocation.disk.watermark.high": "1gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
    }
    kept = {name: value for name, value in {**settings, **changes}.items() if value is not None}
    return "".join(f"{name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in kept.items())


def _java_options(shipped: str, java: Java, heap: str) -> str:
    lines = [line for line in shipped.splitlines() if not DROPPED_OPTIONS.match(line)]
    if not java.vector:
        lines = [line for line in lines if VECTOR_MODULE not in line]
    if not java.locales:
        lines.append("-Djava.locale.providers=CLDR,SPI")
    return "\n".join([f"-Xms{heap}", f"-Xmx{heap}", *lines, ""])
