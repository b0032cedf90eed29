"""What the server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """One server's own registry, so that two servers in a process do not add up."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "clipita_requests", "Requests answered.", ["endpoint", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "clipita_request_seconds", "From request to answer.", ["endpoint"], buckets=SECONDS, registry=self.registry
        )
        self.in_flight = Gauge("clipita_requests_in_flight", "Requests being answered.", registry=self.registry)
        self._cluster = Histogram(
            "clipita_cluster_seconds", "The cluster's own time of a search.", buckets=SECONDS, registry=self.registry
        )
        self._batches = Histogram(
            "clipita_encoder_batch_items", "Items encoded together.", ["encoder"], buckets=BATCHES,
            registry=self.registry,
        )  # fmt: skip
        self._waiting = Gauge(
            "clipita_encoder_queue_items", "Items waiting for an encoder.", ["encoder"], registry=self.registry
        )

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def searched(self, took_ms: int) -> None:
        """Note the time that the cluster took."""
        self._cluster.observe(took_ms / 1000)

    def batched(self, encoder: str) -> Callable[[int], None]:
        """Where an encoder tells its batch sizes."""
        return self._batches.labels(encoder).observe

    def watch(self, encoder: str, waiting: Callable[[], int]) -> None:
        """Read the length of an encoder's queue whenever the numbers are asked for."""
        self._waiting.labels(encoder).set_function(waiting)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)
