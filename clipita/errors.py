"""Every error that a user can cause, in one tree; the reference draws it from these classes."""

from __future__ import annotations


class ClipItaError(Exception):
    """The command failed: exit code 1. Base of all errors that a user can cause.

    Args:
        message: what happened and where, in one sentence.
        hint: what to do, in one sentence; printed after the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class UsageError(ClipItaError):
    """Wrong usage, such as an option, a file name or a setting: exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """clipita.toml or an environment variable has an invalid value."""


class FieldMappingError(UsageError):
    """A column that the field mapping names is not in the catalogue file."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs {package}, which is not installed.", hint=f"Install it with: pip install 'clipita[{extra}]'"
        )


class RequestError(UsageError):
    """An HTTP request that `clipita serve` refuses.

    Args:
        message: what is wrong.
        status: HTTP status, 400 to 599.
        hint: what to do.
    """

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class CatalogueError(ClipItaError):
    """The catalogue file cannot be read."""


class ProductError(CatalogueError):
    """One product that cannot be used; the run records it and goes on."""


class ImageError(ProductError):
    """A product's image cannot be read."""


class TrainingError(ClipItaError):
    """Training cannot start or go on."""


class CheckpointError(TrainingError):
    """A run folder that is missing, broken, or made with other settings."""


class ExportError(ClipItaError):
    """The export failed; no bundle was written."""


class ParityError(ExportError):
    """The exported graphs and PyTorch disagree."""


class BundleError(ClipItaError):
    """A model bundle that is missing, incomplete or changed since its export."""


class DeviceError(ClipItaError):
    """The requested device is not available."""


class ClusterError(ClipItaError):
    """An error of the OpenSearch cluster."""


class ClusterUnavailableError(ClusterError):
    """Nothing answers at this address, or it stopped answering."""


class AuthenticationError(ClusterError):
    """The cluster refused the user, the password or the permission."""


class ClusterVersionError(ClusterError):
    """The server is too old, is not OpenSearch, or lacks a plugin."""


class IndexMissingError(ClusterError):
    """No such index or alias."""


class IndexMovedError(ClusterError):
    """The alias moved to another index during a search that was to stay in one; `clipita serve` follows by itself."""


class IndexLockedError(ClusterError):
    """Another ingest holds the lock of the alias, or took it over while this one was stalled."""


class IndexReadOnlyError(ClusterError):
    """The cluster blocks writes to the index, usually because a disk is nearly full."""


class FingerprintError(ClusterError):
    """Index and bundle come from different models."""


class QueryError(ClusterError):
    """The cluster refused a search request."""


class LocalNodeError(ClipItaError):
    """The embedded OpenSearch node cannot be installed or started."""
