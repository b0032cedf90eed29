"""Encoding on a Ray cluster: Ray Data carries batches from this process to encoders on any machine, and back.

::

    this process                                   Ray Data
    rows ─> compare ─> batches ─> desk (actor) ─────> reader ─> encoder actors (decode, encode), one a GPU
                         ledger, lock <─ bulk writer <─────────────┘

Reading, comparing, counting and writing are the same as without Ray. All encoders share one bulk writer, so
`bulk_threads` and its back-off bound the load on OpenSearch, however many machines encode.

A batch is acknowledged once its products were handed to the writer. When an actor or machine dies, Ray runs its batches
again elsewhere; where Ray gives up, the flow is restarted from the oldest batch that is not acknowledged. A batch that
comes back twice counts once.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipita.catalogue.product import Product
from clipita.config import IngestConfig
from clipita.errors import ClipItaError, ClusterError, DeviceError, MissingExtraError
from clipita.opensearch.cluster.retry import Warn
from clipita.opensearch.ingest.context import RunContext
from clipita.opensearch.ingest.documents import Draft, Item
from clipita.opensearch.ingest.ray.actors import BatchEncoder, Desk, Encoded, Failure, batches
from clipita.opensearch.ingest.stages import POLL_SECONDS, BatchStage, WriteStage

if TYPE_CHECKING:
    from clipita.runtime import Bundle

AHEAD_EACH = 3
"""Batches that wait for each encoder, beside the one that it encodes."""
MAX_STARTS = 5
"""How often in a row the flow is restarted without a batch coming back."""
LONGEST_END = 60.0
Arrival = tuple[int, list[Encoded] | Failure] | BaseException


class RayEncoders:
    """Encoders on a Ray cluster, in place of a `ProductEncoder`.

    The cluster is that of RAY_ADDRESS or of `ray start` on this machine; otherwise one is started here that ends with
    the run. Ray's usage reports are off unless RAY_USAGE_STATS_ENABLED says otherwise.

    Every machine must have the bundle's folder under the same path. The device `auto` is a GPU for each encoder where
    the cluster has any, else the CPU. `warn` is called when encoders come and go.

    Raises:
        MissingExtraError: Ray is not installed.
        DeviceError: the device is a GPU and the cluster has too few.
        ClusterError: Ray cannot be started or reached.
    """

    def __init__(self, bundle: Bundle, config: IngestConfig, warn: Warn) -> None:
        self.bundle = bundle
        self.warn = warn
        self._started_here = _connect()
        import ray

        gpus = int(ray.cluster_resources().get("GPU", 0))
        machines = sum(1 for node in ray.nodes() if node["Alive"])
        self.device = ("cuda" if gpus else "cpu") if config.device == "auto" else config.device
        self.on_gpu = self.device != "cpu"
        self.count = config.ray_encoders or (gpus if self.on_gpu else machines)
        if self.on_gpu and not 0 < self.count <= gpus:
            self.close()
            raise DeviceError(
                f"{self.count or 'Some'} encoders on {self.device} need a GPU each, and the Ray cluster has {gpus}.",
                hint="Use fewer with --encoders, use --device cpu, or add machines with GPUs to the cluster.",
            )
        warn(f"Ray: {self.count} encoders on {self.device}, {machines} machines.")

    def close(self) -> None:
        """End a cluster that was started here; leave any other."""
        if self._started_here:
            import ray

            ray.shutdown()


class RayStage(BatchStage[tuple[Item, Draft]]):
    """Sends batches to the encoders of a Ray cluster and takes back their vectors."""

    def __init__(self, context: RunContext, write: WriteStage, encoders: RayEncoders) -> None:
        super().__init__(context, write)
        self._encoders = encoders
        self._most = encoders.count * (1 + AHEAD_EACH)
        self._under_way: dict[int, list[tuple[Item, Draft]]] = {}
        self._number = 0
        self._arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._flow: _Flow | None = None

    def put_all(self, products: Sequence[tuple[Item, Draft]]) -> None:
        """Queue products; waits while the queue is full."""
        for product in products:
            self._enqueue(product)

    def step(self) -> bool:
        """Send a batch if there is room, and take results back; False when everything was encoded.

        Raises:
            ClipItaError: an encoder cannot work on its machine, or the Ray cluster is gone.
        """
        batch = self._next_batch() if len(self._under_way) < self._most and not self._ended else []
        if batch:
            self._send(batch)
        came = self._take_in(wait=not batch)
        if not batch and not came and not self._under_way:
            self._write.flush()
        return bool(self._under_way) or not self._ended

    def stop(self) -> None:
        """Wake a thread that waits in `put_all`, and end the flow."""
        super().stop()
        if self._flow is not None:
            self._flow.close()

    def _send(self, batch: list[tuple[Item, Draft]]) -> None:
        if self._flow is None:
            # Started with the first batch: a run with nothing to encode loads no model.
            self._flow = _Flow(self._encoders, self._config, self._arrivals)
        number, self._number = self._number, self._number + 1
        self._under_way[number] = batch
        self._flow.send(number, pickle.dumps([_encodable(draft.product) for _, draft in batch]))

    def _take_in(self, wait: bool) -> bool:
        try:
            with self._clock.spent("encode"):
                arrival = self._arrivals.get(timeout=POLL_SECONDS if wait and self._under_way else 0.001)
        except queue.Empty:
            return False
        if isinstance(arrival, BaseException):
            raise arrival
        number, encoded = arrival
        if isinstance(encoded, Failure):
            raise ClipItaError(f"The encoder on {encoded.host} cannot work: {encoded.message}", hint=encoded.hint)
        for (item, draft), result in zip(self._under_way.pop(number, []), encoded, strict=False):
            if result.broken_images:
                draft = draft.without_images(result.broken_images)
            if result.vector is None:
                self._write.put_without_vector(item, draft, result.problem or "it has no vector")
            else:
                self._encoded(item, draft, result.vector, result.thumbnail)
        assert self._flow is not None
        self._flow.settle(number)
        return True


class _Flow:
    """The data set that Ray processes, in a thread; restarted when Ray gives up."""

    def __init__(self, encoders: RayEncoders, config: IngestConfig, arrivals: queue.SimpleQueue[Arrival]) -> None:
        import ray

        self._encoders = encoders
        self._config = config
        self._arrivals = arrivals
        self._open: set[int] = set()
        self._sent = 0
        self._closed = threading.Event()
        self._desk = ray.remote(num_cpus=0)(Desk).remote()
        self._known: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)
        self._thread.start()

    def send(self, number: int, batch: bytes) -> None:
        """Put a batch on the desk."""
        self._open.add(number)
        self._sent = number + 1
        self._ask(self._desk.put, number, batch)

    def settle(self, number: int) -> None:
        """Acknowledge a batch."""
        self._open.discard(number)
        self._ask(self._desk.settle, number)
        for key, (_, where) in self._ask(self._desk.encoders).items():
            if key not in self._known:
                self._known.add(key)
                self._encoders.warn(f"Ray: encoder {len(self._known)} works on {where}.")

    def close(self) -> None:
        """End the flow and drop its batches."""
        if not self._closed.is_set():
            self._closed.set()
            self._desk.close.remote()
            # Wait for batches that are being encoded, but not for a cluster that hangs.
            self._thread.join(LONGEST_END)

    def _ask(self, method: Any, *arguments: Any) -> Any:
        import ray

        try:
            return ray.get(method.remote(*arguments))
        except ray.exceptions.RayError as error:
            raise _gone(error) from error

    def _run(self) -> None:
        import ray

        starts = 0
        while not self._closed.is_set():
            try:
                for number, encoded in self._arriving(min(tuple(self._open), default=self._sent)):
                    starts = 0
                    if self._closed.is_set():
                        return
                    self._arrivals.put((number, encoded))
            except ray.exceptions.RayTaskError as error:
                # Our own code failed there, and would fail again.
                self._arrivals.put(error)
                return
            except ray.exceptions.RayError as error:
                starts += 1
                if starts > MAX_STARTS:
                    self._arrivals.put(_gone(error))
                    return
                self._encoders.warn(f"Ray: {type(error).__name__}; its batches are encoded again.")
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that takes the arrivals
                self._arrivals.put(error)
                return

    def _arriving(self, first: int) -> Any:
        """Batches as they come back, in any order."""
        from ray import data

        encoders, config = self._encoders, self._config
        context = data.DataContext.get_current().copy()
        # A batch is a row, and each row is sent as soon as it exists.
        context.target_max_block_size = 1
        context.enable_progress_bars = False
        with data.DataContext.current(context):
            rows = data.from_items([{"first": first}], override_num_blocks=1).map_batches(
                batches, fn_kwargs={"desk": self._desk, "first": first}, batch_size=None, num_cpus=0
            )
            pool = data.ActorPoolStrategy(
                size=encoders.count, max_concurrent_calls_per_actor=2, enable_true_multi_threading=True
            )
            folder = Path(encoders.bundle.path).resolve()
            encoded = rows.map(
                BatchEncoder,
                fn_constructor_args=(
                    self._desk, folder, encoders.bundle.fingerprint, encoders.device, config.thumbnails,
                ),
                compute=pool,
                **({"num_gpus": 1} if encoders.on_gpu else {"num_cpus": 1}),
            )  # fmt: skip
            for block in encoded.iter_batches(batch_size=None, prefetch_batches=0, batch_format="pyarrow"):
                for number, payload in zip(block["number"].to_pylist(), block["encoded"].to_pylist(), strict=True):
                    yield number, pickle.loads(payload)


def _encodable(product: Product) -> Product:
    """What an encoder reads of a product; the rest need not be sent."""
    return Product(product.id, product.title, product.attributes, images=product.images)


def _connect() -> bool:
    """Connect to a cluster or start one; returns whether one was started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "ray") from None
    # It logs plans and progress bars; we have our own.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return False
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises bare exceptions here
        raise ClusterError(
            f"Ray cannot be started or reached: {error}",
            hint="Check RAY_ADDRESS and `ray status`, or run without --engine ray.",
        ) from error
    return True


def _gone(error: Exception) -> ClusterError:
    return ClusterError(
        f"The Ray cluster has failed: {error}", hint="Check `ray status`; the same command then goes on."
    )
