"""The connection to a cluster: who answers there, and what it can do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import urllib3
from opensearchpy import OpenSearch

from clipita.config import OpenSearchConfig
from clipita.errors import ClusterUnavailableError, ClusterVersionError, MissingExtraError
from clipita.opensearch.cluster.address import LOOPBACK, Address, check_allowed, parse
from clipita.opensearch.cluster.credentials import authorization, aws_signer, tls_context
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.tracing import TracedConnection, traced_async
from clipita.opensearch.dialect.opensearch import KNN_PLUGIN, ML_COMMONS_PLUGIN, NEURAL_SEARCH_PLUGIN, OLDEST
from clipita.opensearch.local.node import LocalNode

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

THREADS = 16
"""Connections kept open at most, for as many threads that share a client."""
CONNECTIONS = 128
"""Searches that an asynchronous client has under way at a time; the 10 as shipped leave a busy server waiting."""


@dataclass(frozen=True)
class Capabilities:
    """What a cluster can do for us.

    Attributes:
        version: of OpenSearch, as (major, minor, patch).
        knn: the k-NN plugin is there.
        neural_search: the neural-search plugin is there (hybrid query, normalisation, RRF).
        ml_commons: the ML Commons plugin is there.
        faiss: an index may use the faiss engine; see `_has_faiss`.
        engine: the k-NN engine to create an index with.
    """

    version: tuple[int, int, int]
    knn: bool
    neural_search: bool
    ml_commons: bool
    faiss: bool
    engine: Literal["lucene", "faiss"]


def connect(config: OpenSearchConfig) -> OpenSearch:
    """A client of the configured cluster, or of the local node when no URL is configured.

    It makes no retries: a search that was slow once should not hit a busy cluster three times more, and ingest has
    its own back-off. Every request has the configured time limit.

    Raises:
        ClusterUnavailableError: no URL and no local node, or nothing answers there.
        AuthenticationError: the user or password is refused.
        ClusterVersionError: what answers is no OpenSearch, or one older than 2.13.
        ConfigError: the URL, a certificate or the password's source is unusable, or the host is not allowed.
    """
    address = _address(config)
    client = OpenSearch(**_client_options(config, address), connection_class=TracedConnection, pool_maxsize=THREADS)
    with guarded(str(address)):
        _check_server(client.info(), str(address))
    return client


def connect_async(config: OpenSearchConfig) -> AsyncOpenSearch:
    """The same as `connect`, for asyncio; nothing is sent yet.

    Raises:
        MissingExtraError: aiohttp is not installed.
        ClusterUnavailableError: no URL and no local node.
        ConfigError: the URL, a certificate or the password's source is unusable, or the host is not allowed.
    """
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise MissingExtraError("aiohttp", "async") from None
    from opensearchpy import AsyncOpenSearch

    options = _client_options(config, _address(config))
    traced = traced_async(signed=options["http_auth"] is not None)
    return AsyncOpenSearch(**options, connection_class=traced, pool_maxsize=CONNECTIONS)


def capabilities(client: OpenSearch) -> Capabilities:
    """Ask the cluster for its version and plugins.

    https://docs.opensearch.org/latest/api-reference/cat/cat-plugins/

    Raises:
        ClusterError: it does not answer, or the user may not see the plugins.
    """
    with guarded(client):
        server = client.info()["version"]
        plugins = {row["component"] for row in client.cat.plugins(format="json", h="component")}
        knn = KNN_PLUGIN in plugins
        neural_search = NEURAL_SEARCH_PLUGIN in plugins
        faiss = knn and _has_faiss(client, neural_search, server.get("build_type"))
    return Capabilities(
        version=_version(server["number"]),
        knn=knn,
        neural_search=neural_search,
        ml_commons=ML_COMMONS_PLUGIN in plugins,
        faiss=faiss,
        engine="faiss" if faiss else "lucene",
    )


def _address(config: OpenSearchConfig) -> Address:
    address = parse(config.url or _local_url(config))
    check_allowed(address, config.allowed_hosts)
    return address


def _client_options(config: OpenSearchConfig, address: Address) -> dict[str, Any]:
    return {
        "hosts": [{"host": address.host, "port": address.port, "url_prefix": address.prefix.strip("/")}],
        **_tls_options(config, address),
        "headers": authorization(config, address),
        "http_auth": aws_signer(config),
        "timeout": config.timeout,
        "max_retries": 0,
        "retry_on_timeout": False,
        # On loopback there is no network to spare, and gzip at Python's level 9 takes longer than the transfer.
        "http_compress": address.host not in LOOPBACK,
    }


def _tls_options(config: OpenSearchConfig, address: Address) -> dict[str, Any]:
    if address.scheme != "https":
        if config.ca_certs is not None or config.client_cert is not None:
            # Without TLS they are not used, but a wrong name in the settings should not wait for that day.
            tls_context(config)
        return {"use_ssl": False}
    if not config.verify_certs:
        # The user switched verification off knowingly; urllib3 would say so again at every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return {"use_ssl": True, "ssl_context": tls_context(config)}


def _local_url(config: OpenSearchConfig) -> str:
    node = LocalNode(config.home)
    status = node.status()
    if status is not None:
        return status.url
    if node.starting:
        raise ClusterUnavailableError(
            f"The local node in {config.home} is still starting.", hint="Try again in a few seconds."
        )
    raise ClusterUnavailableError(
        f"No cluster is given, and no local node runs in {config.home}.",
        hint="Start one with: clipita opensearch start. Or name your cluster with --url (CLIPITA_OPENSEARCH_URL).",
    )


def _check_server(info: Any, where: str) -> None:
    """Refuse what is not OpenSearch 2.13 or newer; Elasticsearch sends a version without a distribution."""
    server = info.get("version") if isinstance(info, dict) else None
    if not isinstance(server, dict) or server.get("distribution") != "opensearch":
        found = f"Elasticsearch {server['number']}" if isinstance(server, dict) and "number" in server else "no cluster"
        raise ClusterVersionError(
            f"{where} is {found}, not OpenSearch.",
            hint="clipita needs OpenSearch 2.13 or newer, with compatibility.override_main_response_version off.",
        )
    if _version(server["number"]) < OLDEST:
        raise ClusterVersionError(
            f"{where} runs OpenSearch {server['number']}.", hint="clipita needs 2.13 or newer: upgrade the cluster."
        )


def _version(number: str) -> tuple[int, int, int]:
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", number)
    if match is None:
        raise ClusterVersionError(f"The cluster gives {number!r} as its version, which is none.")
    return int(match[1]), int(match[2]), int(match[3])


def _has_faiss(client: OpenSearch, neural_search: bool, build_type: str | None) -> bool:
    """Whether the k-NN plugin has its native library.

    No API lists native libraries, and trying is no way to find out: the first document for a faiss field kills a node
    that lacks it. So look for signs, and rather use lucene where there are none (`engine` in [ingest] overrides it):

    - The full distribution brings the library, and the neural-search plugin shows that distribution. The plugin alone
      may also have been added to a minimal server, as Maven offers it, whose build type is `zip`; the full
      distribution for Linux and containers says `tar`, `deb` or `rpm`.
    - Otherwise, a node that has loaded the library already says so in its k-NN statistics. The reverse tells nothing:
      it is loaded with the first use. https://docs.opensearch.org/latest/vector-search/api/knn/#stats
    """
    if neural_search and build_type != "zip":
        return True
    stats = client.transport.perform_request("GET", "/_plugins/_knn/stats/faiss_initialized")
    return any(node.get("faiss_initialized", False) for node in stats["nodes"].values())
