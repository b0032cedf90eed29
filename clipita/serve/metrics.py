"""The server's metrics for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """A registry per server, so that two servers in a process do not add up."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("clipita_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
        self.seconds = Histogram(
            "clipita_request_seconds", "From request to answer.", ["endpoint"], buckets=SECONDS, registry=registry
        )
        self.in_flight = Gauge("clipita_requests_in_flight", "Requests being answered.", registry=registry)
        self.cluster = Histogram(
            "clipita_cluster_seconds", "The cluster's own time of a search.", buckets=SECONDS, registry=registry
        )
        self.batches = Histogram(
            "clipita_encoder_batch_items", "Items encoded together.", ["encoder"], buckets=BATCHES, registry=registry
        )
        self.waiting = Gauge(
            "clipita_encoder_queue_items", "Items waiting for an encoder.", ["encoder"], registry=registry
        )
