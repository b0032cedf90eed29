from pathlib import Path

import numpy as np

from clipita.runtime import Bundle, TextEncoder


def test_bundle_loads(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    vectors = TextEncoder(bundle).encode(["Round Plates", "kite", ""])
    assert vectors.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
