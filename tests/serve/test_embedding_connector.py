"""The remote connector of docs/search.md: what ML Commons sends to the server, and reads from its answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from clipita.runtime import Bundle, TextEncoder

if TYPE_CHECKING:
    from conftest import Server

DOCS = Path(__file__).resolve().parents[2] / "docs" / "search.md"


def connector() -> Any:
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(r"/_plugins/_ml/connectors/_create\n(.*?)\nPOST ", text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.integration
def test_a_remote_connector_gets_vectors(server: Server, tiny_bundle: Path) -> None:
    """ML Commons puts a JSON list of texts in place of the parameter, and reads a list of lists by the filter."""
    described = connector()
    (action,) = described["actions"]
    texts = ['red "round" plate', "Teller \u00e4\u00f6\u00fc"]
    body = action["request_body"].replace("${parameters.input}", json.dumps(texts))
    path = re.fullmatch(r"http://[^/]+(/.+)", action["url"])
    assert path is not None
    answer = server(path[1], body.encode(), method=action["method"], **{"Content-Type": "application/json"})
    assert answer.status == 200
    assert described["parameters"]["response_filter"] == "$.vectors"
    vectors = answer.json["vectors"]
    assert np.allclose(vectors, TextEncoder(Bundle.load(tiny_bundle)).encode(texts), atol=1e-5)
