"""A text encoder's package into the cluster: register, upload in chunks, deploy, wait.

https://docs.opensearch.org/latest/ml-commons-plugin/api/model-apis/
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opensearchpy
from opensearchpy import OpenSearch

from clipita.errors import ClusterError, ClusterVersionError, UsageError
from clipita.opensearch.cluster.connection import capabilities
from clipita.opensearch.cluster.errors import guarded

CHUNK_BYTES = 10_000_000
POLL_SECONDS = 1.0
ALLOW = (
    'PUT _cluster/settings {"persistent": {"plugins.ml_commons.allow_registering_model_via_local_file": true, '
    '"plugins.ml_commons.only_run_on_ml_node": false}}'
)
RUNNING = {"CREATED", "RUNNING"}


def register_model(
    client: OpenSearch,
    package: Path,
    *,
    model_id: str | None = None,
    deploy: bool = True,
    timeout: float = 600.0,
    on_chunk: Callable[[int, int], None] = lambda _done, _total: None,
) -> str:
    """Send a package that `clipita export-onnx --ml-commons` wrote, with its `.register.json` beside it.

    A model that was registered already (`model_id`) is not uploaded again. `on_chunk` gets the number of chunks sent,
    and of all chunks; `timeout` are the seconds for deploying.

    Returns:
        The model's id, for `neural` queries.

    Raises:
        UsageError: the zip or its registration is missing, or they do not match.
        ClusterVersionError: the cluster has no ML Commons plugin.
        ClusterError: it refuses a request, or deploying fails or takes too long.
    """
    body = _registration(package)
    if not capabilities(client).ml_commons:
        raise ClusterVersionError(
            "This cluster has no ML Commons plugin, so no model can run inside it.",
            hint="Encode queries outside (clipita search, clipita.opensearch.ProductSearch), or install opensearch-ml.",
        )
    with guarded(client):
        model = model_id or _upload(client, package, body, on_chunk)
        if deploy:
            _wait(client, str(_post(client, f"{model}/_deploy", None)["task_id"]), package, model, timeout)
    return model


def _upload(client: OpenSearch, package: Path, body: dict[str, Any], on_chunk: Callable[[int, int], None]) -> str:
    try:
        model = str(_post(client, "_register_meta", body)["model_id"])
    except opensearchpy.RequestError as error:
        if "allow_registering_model_via_local_file" not in str(error.info):
            raise
        raise ClusterError("The cluster refuses models from a local file.", hint=f"Allow them with: {ALLOW}") from error
    total = int(body["total_chunks"])
    with package.open("rb") as stream:
        for number in range(total):
            _post(client, f"{model}/upload_chunk/{number}", stream.read(CHUNK_BYTES))
            on_chunk(number + 1, total)
    return model


def _registration(package: Path) -> dict[str, Any]:
    file = package.with_suffix(".register.json")
    again = "Write both with: clipita export-onnx --ml-commons"
    try:
        body: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        size, expected = package.stat().st_size, int(body["model_content_size_in_bytes"])
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is missing.", hint=again) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is not a registration: {error}.", hint=again) from error
    if size != expected:
        raise UsageError(f"{package} has {size} bytes, but {file.name} says {expected}.", hint=again)
    return body


def _post(client: OpenSearch, path: str, body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.transport.perform_request("POST", f"/_plugins/_ml/models/{path}", body=body)
    return answer


def _wait(client: OpenSearch, task: str, package: Path, model: str, timeout: float) -> None:
    again = f"clipita opensearch register-model {package} --model-id {model}"
    end = time.monotonic() + timeout
    while True:
        answer = client.transport.perform_request("GET", f"/_plugins/_ml/tasks/{task}")
        if answer["state"] == "COMPLETED":
            return
        if answer["state"] not in RUNNING:
            raise ClusterError(
                f"The cluster could not deploy the model {model}: {answer.get('error', answer['state'])}.",
                hint="See its log; on a closed network PyTorch's native library must be installed beforehand. The "
                f"model is registered; deploy it again with: {again}",
            )
        if time.monotonic() > end:
            raise ClusterError(
                f"The model {model} was not deployed within {timeout:.0f} s (task {task}).",
                hint=f"Wait for it again, without another upload: {again}",
            )
        time.sleep(POLL_SECONDS)
