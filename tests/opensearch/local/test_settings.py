"""The settings files of the local node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipita.errors import UsageError
from clipita.opensearch.local.java import Java
from clipita.opensearch.local.settings import check_heap, write_settings

SHIPPED = """\
## a comment
-Xms1g
-Xmx1g
11-:-XX:+UseG1GC
-Djava.io.tmpdir=${OPENSEARCH_TMPDIR}
-XX:+HeapDumpOnOutOfMemoryError
-XX:HeapDumpPath=data
-XX:ErrorFile=logs/hs_err_pid%p.log
9-:-Xlog:gc*,gc+age=trace,safepoint:file=logs/gc.log:utctime,pid,tags:filecount=32,filesize=64m
20-:--add-modules=jdk.incubator.vector
21-:-javaagent:agent/opensearch-agent.jar
"""


def written(tmp_path: Path, java: Java, port: int = 0) -> tuple[dict[str, object], list[str]]:
    home, server = tmp_path / "my shop", tmp_path / "server"
    for folder in (home / "config", server / "config"):
        folder.mkdir(parents=True, exist_ok=True)
    (server / "config" / "jvm.options").write_text(SHIPPED)
    write_settings(home, server, java, "512m", port)
    lines = (home / "config" / "opensearch.yml").read_text().splitlines()
    settings = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in lines)}
    return settings, (home / "config" / "jvm.options").read_text().splitlines()


def test_node_listens_on_loopback_only_and_keeps_disk_thresholds(tmp_path: Path) -> None:
    settings, _ = written(tmp_path, Java(tmp_path, 25, vector=True, locales=True), port=9123)
    assert settings["network.host"] == "127.0.0.1"
    assert settings["http.port"] == 9123
    assert settings["path.data"] == str(tmp_path / "my shop" / "data")
    assert settings["cluster.routing.allocation.disk.threshold_enabled"] is True


def test_node_with_ml_commons_takes_uploads_and_runs_models(tmp_path: Path) -> None:
    (tmp_path / "server" / "plugins" / "opensearch-ml").mkdir(parents=True)
    settings, _ = written(tmp_path, Java(tmp_path, 25, vector=True, locales=True))
    assert settings["plugins.ml_commons.allow_registering_model_via_local_file"] is True
    assert settings["plugins.ml_commons.only_run_on_ml_node"] is False


def test_options_of_a_full_java(tmp_path: Path) -> None:
    _, options = written(tmp_path, Java(tmp_path, 25, vector=True, locales=True))
    assert options == [
        "-Xms512m",
        "-Xmx512m",
        "11-:-XX:+UseG1GC",
        "-Djava.io.tmpdir=${OPENSEARCH_TMPDIR}",
        "20-:--add-modules=jdk.incubator.vector",
        "21-:-javaagent:agent/opensearch-agent.jar",
    ]


def test_options_of_a_trimmed_java(tmp_path: Path) -> None:
    _, options = written(tmp_path, Java(tmp_path, 25, vector=False, locales=False))
    assert "20-:--add-modules=jdk.incubator.vector" not in options
    assert options[-1] == "-Djava.locale.providers=CLDR,SPI"


@pytest.mark.parametrize(("given", "heap"), [("512m", "512m"), ("2g", "2g"), (" 1GB ", "1g"), ("256M", "256m")])
def test_heap_sizes(given: str, heap: str) -> None:
    assert check_heap(given) == heap


@pytest.mark.parametrize("given", ["", "512", "much", "-1g", "64m", "512m -XX:+Evil", "1t"])
def test_unusable_heap_sizes(given: str) -> None:
    with pytest.raises(UsageError):
        check_heap(given)
