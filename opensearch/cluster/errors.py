"""The exceptions of opensearch-py as errors of clipita that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import opensearchpy
from opensearchpy import OpenSearch

from clipita.errors import (
    AuthenticationError,
    ClipItaError,
    ClusterError,
    ClusterUnavailableError,
    ClusterVersionError,
    ConfigError,
    IndexMissingError,
    IndexReadOnlyError,
    QueryError,
)
from clipita.opensearch.dialect.opensearch import BLOCKS, DISK_WORDS, MISSING_INDEX

INTERNAL = 500


def address_of(client: OpenSearch) -> str:
    """Where a client connects to, for error texts; without user and password."""
    connection = client.transport.get_connection()
    return f"{connection.host}{connection.url_prefix}"


@contextmanager
def guarded(client: OpenSearch | str, refusal: type[ClusterError] = ClusterError) -> Iterator[None]:
    """Turn exceptions of opensearch-py in the body into our errors; a refused request raises `refusal`."""
    try:
        yield
    except (opensearchpy.OpenSearchException, opensearchpy.ImproperlyConfigured) as error:
        where = client if isinstance(client, str) else address_of(client)
        raise translate(error, where, refusal) from error


def translate(error: Exception, where: str, refusal: type[ClusterError] = ClusterError) -> ClipItaError:
    """Our error for an exception of opensearch-py; see `guarded` for the arguments."""
    if isinstance(error, opensearchpy.ConnectionError):
        return _no_answer(error, where)
    if isinstance(error, opensearchpy.SerializationError):
        return ClusterVersionError(
            f"{where} answers, but not like OpenSearch.", hint="Check the address, and any proxy in front of it."
        )
    if isinstance(error, opensearchpy.TransportError):
        return _refused(error, where, refusal)
    if isinstance(error, opensearchpy.ImproperlyConfigured):
        return ConfigError(f"The connection to {where} is set up wrongly: {error}.")
    return ClusterError(f"{where}: {error}")


def is_full_disk(error: Exception) -> bool:
    """Whether the cluster takes no documents or no new index because a disk of its nodes is (nearly) full."""
    if not isinstance(error, opensearchpy.TransportError) or isinstance(error, opensearchpy.ConnectionError):
        return False
    kind, reason = _reason(error)
    return (kind in BLOCKS or error.status_code == INTERNAL) and any(words in reason for words in DISK_WORDS)


def _no_answer(error: opensearchpy.ConnectionError, where: str) -> ClusterUnavailableError:
    if isinstance(error, opensearchpy.ConnectionTimeout):
        return ClusterUnavailableError(
            f"{where} did not answer in time.", hint="Try again; `timeout` in [opensearch] gives it longer."
        )
    cause = str(error.info)
    if "WRONG_VERSION_NUMBER" in cause or "record layer failure" in cause:
        return ClusterUnavailableError(f"{where} does not speak TLS.", hint="Write http:// instead of https://.")
    if "certificate verify failed" in cause.lower() or "CERTIFICATE_VERIFY_FAILED" in cause:
        return ClusterUnavailableError(
            f"The certificate of {where} is not trusted: {cause}.",
            hint="Name its CA file with ca_certs, or switch verify_certs off in [opensearch] on a test system.",
        )
    if "Connection aborted" in cause and where.startswith("http://"):
        return ClusterUnavailableError(
            f"{where} closed the connection: {cause}.", hint="If it speaks TLS, write https:// instead of http://."
        )
    return ClusterUnavailableError(
        f"Nothing answers at {where}: {cause}.", hint="Check the address, and that OpenSearch runs there."
    )


def _refused(error: opensearchpy.TransportError, where: str, refusal: type[ClusterError]) -> ClusterError:
    kind, reason = _reason(error)
    if is_full_disk(error):
        return IndexReadOnlyError(
            f"A disk of {where} is full: {reason}.",
            hint="Free some space: OpenSearch then lifts the block by itself, and the same command goes on.",
        )
    if kind in BLOCKS:
        return _blocked(reason, where)
    if error.status_code == 401:
        return AuthenticationError(
            f"{where} refuses the user or password.",
            hint="Set CLIPITA_OPENSEARCH_USERNAME, and CLIPITA_OPENSEARCH_PASSWORD, password_file or password_keyring.",
        )
    if error.status_code == 403:
        return AuthenticationError(
            f"{where}: the user lacks a permission: {reason}.", hint="Add it to the user's role."
        )
    if error.status_code in (400, 496) and "SSL certificate" in reason:
        # nginx in front of the cluster answers so, in HTML, instead of ending the handshake.
        return AuthenticationError(
            f"{where} requires a client certificate that it trusts.", hint="Name it with client_cert and client_key."
        )
    if kind in MISSING_INDEX:
        return IndexMissingError(f"{where}: {reason}.", hint="Create it with: clipita ingest. Or check --index.")
    if error.status_code in (502, 503, 504):
        return ClusterUnavailableError(f"{where} is not available ({error.status_code}): {reason}.", hint="Try later.")
    if error.status_code == 429:
        return ClusterError(
            f"{where} is overloaded: {reason}.", hint="Try later, with smaller batches, or give OpenSearch more memory."
        )
    if refusal is QueryError:
        # The caller of a server reads it, who is not to know where the cluster is.
        where = "The cluster"
    return refusal(f"{where} refuses the request ({error.status_code}): {reason}.")


def _blocked(reason: str, where: str) -> ClusterError:
    if "index" not in reason:
        return ClusterUnavailableError(f"{where} is blocked: {reason}.", hint="Wait until it has recovered.")
    return IndexReadOnlyError(
        f"{where} blocks writes: {reason}.", hint="Lift the block (index.blocks.*) of that index."
    )


def _reason(error: opensearchpy.TransportError) -> tuple[str, str]:
    """Type and reason of an OpenSearch error body, the innermost reason last; or any other body as it is."""
    body = error.info.get("error") if isinstance(error.info, dict) else None
    if not isinstance(body, dict):
        return "", str(body or error.error).rstrip(".")
    reasons = [body.get("reason")]
    reasons += [cause.get("reason") for cause in body.get("root_cause") or [] if isinstance(cause, dict)]
    reasons += [shard.get("reason", {}).get("reason") for shard in body.get("failed_shards", [])]
    deeper = body.get("caused_by")
    while isinstance(deeper, dict):
        reasons.append(deeper.get("reason"))
        deeper = deeper.get("caused_by")
    distinct = list(dict.fromkeys(str(reason) for reason in reasons if reason))
    return str(body.get("type", "")), ": ".join(distinct).rstrip(".") or str(error.error)
