"""The connection to a cluster, and what the cluster can do."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import urllib3
from opensearchpy import OpenSearch, SerializationError
from opensearchpy.serializer import JSONSerializer

from clipita.config import OpenSearchConfig
from clipita.errors import ClusterUnavailableError, ClusterVersionError, MissingExtraError
from clipita.opensearch.cluster.address import LOOPBACK, Address, check_allowed, parse_all
from clipita.opensearch.cluster.credentials import authorization, aws_signer, tls_context
from clipita.opensearch.cluster.errors import guarded
from clipita.opensearch.cluster.tracing import TracedConnection, traced_async
from clipita.opensearch.dialect.opensearch import (
    FORMER_BM25_FACTOR,
    KNN_PLUGIN,
    ML_COMMONS_PLUGIN,
    NEURAL_SEARCH_PLUGIN,
    OLDEST,
    OLDEST_COMPRESSION,
    OLDEST_LUCENE_10,
    OLDEST_RADIAL,
)
from clipita.opensearch.local.node import LocalNode

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

THREADS = 16
"""Most open connections of a client, for as many threads that share it."""
CONNECTIONS = 128
"""Most simultaneous searches of an asynchronous client; the default of 10 makes a busy server wait."""


@dataclass(frozen=True)
class Capabilities:
    """A cluster's version and plugins.

    Attributes:
        version: of OpenSearch, as (major, minor, patch).
        neural_search: it has the neural-search plugin (hybrid query, normalisation, RRF).
        faiss: an index may use the faiss engine; see `_has_faiss`.
        engine: the k-NN engine to create an index with.
    """

    version: tuple[int, int, int]
    knn: bool
    neural_search: bool
    ml_commons: bool
    faiss: bool
    engine: Literal["lucene", "faiss"]

    @property
    def radial(self) -> bool:
        """Whether it finds all vectors above a threshold; vectors of few bits on disk are searched by k alone.

        https://docs.opensearch.org/latest/vector-search/specialized-operations/radial-search-knn/
        """
        return self.version >= OLDEST_RADIAL

    @property
    def compression(self) -> bool:
        """Whether a k-NN field takes other precisions than fp32."""
        return self.version >= OLDEST_COMPRESSION

    @property
    def bm25_boost(self) -> float:
        """See the function of this name."""
        return _bm25_boost(self.version)


def connect(config: OpenSearchConfig | None = None, url: str | None = None) -> OpenSearch:
    """A client of the configured cluster, or of the local node when no URL is configured.

    It does not retry: a slow search should not be sent to a busy cluster three more times, and ingest has its own
    back-off. Where the URL names several nodes, a request that one of them does not take goes to the next. Each request
    has the configured time limit.

    Example::

        client = clipita.opensearch.connect(url="https://search.internal:9200")

    Args:
        config: user, certificates, time limit; None for the defaults.
        url: takes the place of the configured one.

    Raises:
        ClusterUnavailableError: no URL and no local node, or nothing answers there.
        AuthenticationError: the user or password is refused.
        ClusterVersionError: the server is not OpenSearch, or older than 2.13.
        ConfigError: the URL, a certificate or the password's source is unusable, or the host is not allowed.
    """
    config = with_url(config, url)
    addresses = _addresses(config)
    client = OpenSearch(**_client_options(config, addresses), connection_class=TracedConnection, pool_maxsize=THREADS)
    where = ", ".join(map(str, addresses))
    with guarded(where):
        _check_server(client.info(), where)
    return client


def with_url(config: OpenSearchConfig | None, url: str | None) -> OpenSearchConfig:
    """The connection's settings, for another address if one is given."""
    config = config or OpenSearchConfig()
    return config if url is None else dataclasses.replace(config, url=url)


def connect_async(config: OpenSearchConfig) -> AsyncOpenSearch:
    """The same as `connect`, for asyncio, or a MissingExtraError without aiohttp; nothing is sent yet."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        raise MissingExtraError("aiohttp", "async") from None
    from opensearchpy import AsyncOpenSearch

    options = _client_options(config, _addresses(config))
    traced = traced_async(signed=options["http_auth"] is not None)
    return AsyncOpenSearch(**options, connection_class=traced, pool_maxsize=CONNECTIONS)


def capabilities(client: OpenSearch) -> Capabilities:
    """Ask the cluster for its version and plugins.

    https://docs.opensearch.org/latest/api-reference/cat/cat-plugins/
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


def bm25_boost(client: OpenSearch) -> float:
    """The boost that makes BM25 scores of this cluster those of OpenSearch 3: pivots and least scores mean the same."""
    with guarded(client):
        return _bm25_boost(_version(client.info()["version"]["number"]))


def _bm25_boost(version: tuple[int, int, int]) -> float:
    return 1.0 if version >= OLDEST_LUCENE_10 else 1 / FORMER_BM25_FACTOR


def _addresses(config: OpenSearchConfig) -> list[Address]:
    addresses = parse_all(config.url or _local_url(config))
    for address in addresses:
        check_allowed(address, config.allowed_hosts)
    return addresses


def _client_options(config: OpenSearchConfig, addresses: list[Address]) -> dict[str, Any]:
    # They have one scheme, user and password; a rule for loopback alone holds where all of them are that.
    address = next((each for each in addresses if each.host not in LOOPBACK), addresses[0])
    return {
        "hosts": [{"host": each.host, "port": each.port, "url_prefix": each.prefix.strip("/")} for each in addresses],
        **_tls_options(config, address),
        "headers": authorization(config, address),
        "http_auth": aws_signer(config),
        "timeout": config.timeout,
        "serializer": _Json(),
        # A node that ended, or is still starting (503): the next one is asked, each once.
        "max_retries": len(addresses) - 1,
        "retry_on_timeout": False,
        # On loopback gzip at Python's level 9 takes longer than the transfer.
        "http_compress": address.host not in LOOPBACK,
    }


class _Json(JSONSerializer):  # type: ignore[misc]
    """opensearch-py's own, for answers of any depth."""

    def loads(self, s: str) -> Any:
        """The answer, or a SerializationError."""
        try:
            return super().loads(s)
        except RecursionError as error:
            raise SerializationError("the answer is nested too deeply") from error


def _tls_options(config: OpenSearchConfig, address: Address) -> dict[str, Any]:
    if address.scheme != "https":
        if config.ca_certs is not None or config.client_cert is not None:
            # Without TLS they are not used, but a wrong file name in the settings is an error all the same.
            tls_context(config)
        return {"use_ssl": False}
    if not config.verify_certs:
        # The user switched verification off; urllib3 would warn at every request.
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
        f"No cluster is configured, and no local node runs in {config.home}.",
        hint="Start one with: clipita opensearch start. Or name your cluster with --url (CLIPITA_OPENSEARCH_URL).",
    )


def _check_server(info: Any, where: str) -> None:
    """Refuse what is not OpenSearch 2.13 or newer; Elasticsearch sends a version without a distribution."""
    server = info.get("version") if isinstance(info, dict) else None
    if not isinstance(server, dict) or server.get("distribution") != "opensearch":
        found = f"Elasticsearch {server['number']}, " if isinstance(server, dict) and "number" in server else ""
        raise ClusterVersionError(
            f"{where} is {found}not OpenSearch.",
            hint="clipita needs OpenSearch 2.13 or newer, with compatibility.override_main_response_version off.",
        )
    if _version(server["number"]) < OLDEST:
        raise ClusterVersionError(
            f"{where} runs OpenSearch {server['number']}.", hint="clipita needs 2.13 or newer: upgrade the cluster."
        )


def _version(number: str) -> tuple[int, int, int]:
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", number)
    if match is None:
        raise ClusterVersionError(f"The cluster's version {number!r} is not a version number.")
    return int(match[1]), int(match[2]), int(match[3])


def _has_faiss(client: OpenSearch, neural_search: bool, build_type: str | None) -> bool:
    """Whether the k-NN plugin has its native library.

    No API lists native libraries, and without one the first document for a faiss field kills the node, so it cannot be
    tried. Evidence is required, or lucene is used (`engine` in [ingest] overrides this):

    - The full distribution contains the library, and the neural-search plugin indicates that distribution. The plugin
      may also have been added to a minimal server from Maven, whose build type is `zip`; the full distribution for
      Linux and containers has `tar`, `deb` or `rpm`.
    - Otherwise, a node that has loaded the library says so in its k-NN statistics. The reverse proves nothing, as the
      library is loaded with its first use. https://docs.opensearch.org/latest/vector-search/api/knn/#stats
    """
    if neural_search and build_type != "zip":
        return True
    stats = client.transport.perform_request("GET", "/_plugins/_knn/stats/faiss_initialized")
    return any(node.get("faiss_initialized", False) for node in stats["nodes"].values())
