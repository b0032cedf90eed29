"""Every error that a user can cause, in one tree.

::

    ClipItaError                      exit code 1: it failed, and the text says why and what to do
    ├── UsageError                    exit code 2: the call itself is off
    │   ├── ConfigError               clipita.toml or an environment variable
    │   ├── FieldMappingError         a column that the mapping names is not in the file
    │   ├── RequestError              a request to `clipita serve` that gets no other answer; has an HTTP status
    │   └── MissingExtraError         an optional dependency is not installed; names the pip line
    ├── CatalogueError                a catalogue that cannot be read as a whole
    │   └── ProductError              one product that cannot be used; the run goes on without it
    │       └── ImageError            its picture cannot be read
    ├── TrainingError                 training cannot start or go on
    │   └── CheckpointError           a run folder that is missing, broken or from another configuration
    ├── ExportError                   no bundle was written
    │   └── ParityError               ONNX and PyTorch disagree
    ├── BundleError                   a bundle that is missing, incomplete or changed
    ├── DeviceError                   the device that was asked for is not there
    ├── ClusterError                  the OpenSearch cluster
    │   ├── ClusterUnavailableError   nothing answers at this address
    │   ├── AuthenticationError       user, password or rights
    │   ├── ClusterVersionError       too old, or not OpenSearch
    │   ├── IndexMissingError         no such index or alias
    │   ├── IndexReadOnlyError        the cluster blocks writes (disk watermark)
    │   ├── FingerprintError          index and bundle come from different models
    │   └── QueryError                the cluster refused a search
    └── LocalNodeError                the embedded OpenSearch cannot be installed or started
"""

from __future__ import annotations


class ClipItaError(Exception):
    """Base of all errors a user can cause.

    Args:
        message: what was wrong and where, in one sentence.
        hint: what to do about it, in one sentence; printed after the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class UsageError(ClipItaError):
    """The call itself is off: a flag, a file name, a setting."""

    exit_code = 2


class ConfigError(UsageError):
    """clipita.toml or an environment variable holds something unusable."""


class FieldMappingError(UsageError):
    """A column that the field mapping names is not in the catalogue file."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs {package}, which is not installed.", hint=f"Install it with: pip install 'clipita[{extra}]'"
        )


class RequestError(UsageError):
    """A request over HTTP that cannot be answered.

    Args:
        message: what was wrong.
        status: of HTTP, 400 to 599.
        hint: what to do about it.
    """

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class CatalogueError(ClipItaError):
    """A catalogue that cannot be read as a whole."""


class ProductError(CatalogueError):
    """One product that cannot be used; the run records it and goes on."""


class ImageError(ProductError):
    """A product's picture cannot be read."""


class TrainingError(ClipItaError):
    """Training cannot start or go on."""


class CheckpointError(TrainingError):
    """A run folder that is missing, broken, or made with another configuration."""


class ExportError(ClipItaError):
    """The export failed; no bundle was written."""


class ParityError(ExportError):
    """The exported graphs and PyTorch disagree."""


class BundleError(ClipItaError):
    """A model bundle that is missing, incomplete or changed since its export."""


class DeviceError(ClipItaError):
    """The device that was asked for is not there."""


class ClusterError(ClipItaError):
    """Something about the OpenSearch cluster."""


class ClusterUnavailableError(ClusterError):
    """Nothing answers at this address, or it stopped answering."""


class AuthenticationError(ClusterError):
    """The cluster refused the user, the password or the right to do this."""


class ClusterVersionError(ClusterError):
    """The server is too old, is not OpenSearch, or lacks a plugin."""


class IndexMissingError(ClusterError):
    """No such index or alias."""


class IndexReadOnlyError(ClusterError):
    """The cluster blocks writes to the index, mostly because a disk is nearly full."""


class FingerprintError(ClusterError):
    """The index was built with another model than the one at hand."""


class QueryError(ClusterError):
    """The cluster refused a search request."""


class LocalNodeError(ClipItaError):
    """The embedded OpenSearch node cannot be installed or started."""
