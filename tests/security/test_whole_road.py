"""The least that ingest and search need: a whole run through the proxy's allow-list, and the roles by its actions.

The local node has no security plugin to ask. It does log every action that it carries out, which is what the plugin
would judge: all of them have to be in the role, and the role must not let more through than it says.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from clipita.config import OpenSearchConfig
from clipita.opensearch import ProductSearch
from clipita.opensearch.cluster.connection import connect
from clipita.opensearch.local.node import NodeStatus

pytestmark = pytest.mark.integration
ROLES = Path(__file__).resolve().parents[2] / "docker" / "security" / "roles"
INDEX = "products-whole"
# What a node does by itself. What ends in [n] is what each node does of an action that was judged as a whole.
OWN = (
    "internal:*",
    "cluster:monitor/nodes/stats*",
    "indices:admin/seq_no/*",
    "indices:admin/publishCheckpoint*",
    "retention_lease_background_sync*",
)
TEMPLATE_QUERY = {"query": "plate", "size": 3}


def role(name: str, index: str = INDEX) -> tuple[list[str], list[str], list[str]]:
    """Index patterns, actions on them, and actions on the cluster."""
    text = (ROLES / f"{name}.json").read_text(encoding="utf-8").replace("{index}", index)
    content = json.loads(text)
    [permission] = content["index_permissions"]
    return permission["index_patterns"], permission["allowed_actions"], content["cluster_permissions"]


def allowed(name: str, action: str) -> bool:
    _, on_index, on_cluster = role(name)
    return any(fnmatch.fnmatchcase(action, pattern) for pattern in (*on_index, *on_cluster))


@pytest.fixture(scope="module")
def administrator(node: NodeStatus) -> Iterator[OpenSearch]:
    client = connect(OpenSearchConfig(url=node.url))
    yield client
    client.indices.delete(index=f"{INDEX}*", ignore=[404], params={"expand_wildcards": "all"})
    client.close()


@pytest.fixture(scope="module")
def actions_of(node: NodeStatus, administrator: OpenSearch) -> Iterator[Callable[[Callable[[], Any]], set[str]]]:
    """Runs something, and gives the actions that the node carried out meanwhile.

    The node's watch over its disk stands still meanwhile: every 30 seconds it asks for the very statistics
    (indices:monitor/stats) that a user would need a grant for, and the log does not say who asked.
    """
    settings: dict[str, Any] = {
        "logger.org.opensearch.tasks.TaskManager": "TRACE",
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    administrator.cluster.put_settings(body={"transient": settings})
    log = Path(node.log_file)
    if not log.is_file():
        pytest.skip("reads the log of the node, which CLIPITA_TEST_URL does not show")

    def record(work: Callable[[], Any]) -> set[str]:
        start = log.stat().st_size
        work()
        time.sleep(0.2)
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
        found = set(re.findall(r"register \d+ \[\w+\] \[([^\]\s]+?(?:\[\w+\])*)\] \[", text))
        own = {action for action in found if action.endswith("[n]") or any(fnmatch.fnmatch(action, its) for its in OWN)}
        return found - own

    yield record
    administrator.cluster.put_settings(body={"transient": dict.fromkeys(settings)})


def clipita(proxy: Any, config: OpenSearchConfig, folder: Path, *words: str) -> str:
    environment = {
        **os.environ,
        "CLIPITA_OPENSEARCH_URL": str(config.url), "CLIPITA_OPENSEARCH_USERNAME": str(config.username),
        "CLIPITA_OPENSEARCH_PASSWORD": str(config.password), "CLIPITA_OPENSEARCH_CA_CERTS": str(config.ca_certs),
        "CLIPITA_OPENSEARCH_CLIENT_CERT": str(config.client_cert),
        "CLIPITA_OPENSEARCH_CLIENT_KEY": str(config.client_key),
    }  # fmt: skip
    command = [sys.executable, "-m", "clipita.cli", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr} {proxy.requests()[-5:]}"
    return done.stdout


@pytest.fixture(scope="module")
def recorded(
    proxy: Any,
    actions_of: Callable[[Callable[[], Any]], set[str]],
    shop: Path,
    tiny_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, set[str]]:
    """The whole road as the two users, through the proxy: the role's name to the actions of the node."""
    folder = tmp_path_factory.mktemp("road")
    alias, model = ("--index", INDEX), ("--model", str(tiny_bundle))

    def write() -> None:
        run = partial(clipita, proxy, proxy.config(), folder)
        run("doctor")
        run("ingest", str(shop / "train.parquet"), *alias, *model)
        run("ingest", str(shop / "valid.parquet"), *alias, *model, "--prune", "--force")
        run("ingest", str(shop / "train.parquet"), *alias, *model, "--new-index")
        run("opensearch", "put-templates", *alias)
        run("tune", *alias, *model, "--catalogue", str(shop / "train.parquet"))
        run("index", "list", *alias)
        run("index", "rollback", *alias)
        run("ingest", str(shop / "train.parquet"), *alias, *model, "--new-index")
        run("index", "prune", *alias, "--keep", "0", "--yes")

    def read() -> None:
        run = partial(clipita, proxy, proxy.searcher(), folder)
        run("doctor")
        run("search", "plate", *alias, *model, "--facet", "brand", "--explain")
        run("search", "--category", "Home > Plates", *alias)
        search = ProductSearch(connect(proxy.searcher()), INDEX, tiny_bundle)
        page = search("plate", snapshot="1m", size=60)
        while page.cursor is not None:
            page = search("plate", cursor=page.cursor, size=60)
        template = {"id": f"{INDEX}-lexical", "params": TEMPLATE_QUERY}
        assert search.client.search_template(index=INDEX, body=template)["hits"]["hits"]
        category = quote("Home > Plates", safe="")
        assert search.client.transport.perform_request("GET", f"/{INDEX}-categories/_doc/{category}")["found"]

    return {"clipita-ingest": actions_of(write), "clipita-search": actions_of(read)}


@pytest.mark.parametrize("name", ["clipita-ingest", "clipita-search"])
def test_the_role_grants_every_action_of_the_whole_road(recorded: dict[str, set[str]], name: str) -> None:
    assert {"clipita-ingest": "indices:data/write/bulk", "clipita-search": "indices:data/read/search"}[
        name
    ] in recorded[name]
    assert sorted(action for action in recorded[name] if not allowed(name, action)) == []


def test_no_grant_of_the_searching_role_is_idle(recorded: dict[str, set[str]]) -> None:
    _, on_index, on_cluster = role("clipita-search")
    for pattern in (*on_index, *on_cluster):
        assert any(fnmatch.fnmatchcase(action, pattern) for action in recorded["clipita-search"]), pattern


@pytest.mark.parametrize(
    "action",
    [
        "indices:data/write/bulk", "indices:data/write/index", "indices:data/write/delete/byquery",
        "indices:admin/delete", "indices:admin/create", "indices:admin/mapping/put", "indices:admin/aliases",
        "indices:admin/settings/update", "cluster:admin/script/put", "cluster:admin/settings/update",
        "cluster:admin/snapshot/create", "cluster:admin/opendistro_security/whoami", "indices:data/read/scroll",
    ],
)  # fmt: skip
def test_the_searching_role_changes_nothing(action: str) -> None:
    assert not allowed("clipita-search", action)


@pytest.mark.parametrize(
    "action",
    [
        "cluster:admin/settings/update", "cluster:admin/snapshot/create", "cluster:admin/reroute",
        "indices:admin/close",
"cluster:admin/ingest/pipeline/put", "indices:admin/template/put",
        "cluster:admin/script/delete", "cluster:admin/opendistro/ml/models/delete",
    ],
)  # fmt: skip
def test_the_ingesting_role_keeps_out_of_the_clusters_own_affairs(action: str) -> None:
    assert not allowed("clipita-ingest", action)


def test_roles_reach_no_other_index() -> None:
    for name in ("clipita-ingest", "clipita-search"):
        patterns = role(name, "products")[0]
        for mine in ("products", "products-1a2b3c4d-1", "products-categories"):
            assert any(fnmatch.fnmatchcase(mine, pattern) for pattern in patterns)
        for other in ("orders", ".opendistro_security", "customers-products", "productsx"):
            assert not any(fnmatch.fnmatchcase(other, pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/{INDEX}/_bulk"), ("DELETE", f"/{INDEX}-1a2b3c4d-1"), ("PUT", f"/_scripts/{INDEX}-lexical"),
        ("PUT", "/_cluster/settings"), ("GET", "/_cat/indices"), ("POST", "/orders/_search"), ("DELETE", "/_all"),
        ("POST", "/_bulk"), ("PUT", "/_scripts/other"),
        ("POST", "/_scripts/painless/_execute"), ("GET", "/_search/scroll"),
    ],
)  # fmt: skip
def test_the_proxy_stops_the_searching_user(proxy: Any, recorded: dict[str, set[str]], method: str, path: str) -> None:
    client = connect(proxy.searcher())
    try:
        with pytest.raises(TransportError) as refused:
            client.transport.perform_request(method, path, body={})
        assert refused.value.status_code == 403
    finally:
        client.close()
