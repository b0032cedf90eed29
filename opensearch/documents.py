"""How a product is written: as a whole document of ours, as the shop's own with our fields added, or in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import orjson

from clipita.opensearch.bulk import Document
from clipita.opensearch.content import Draft, our_fields, with_fields
from clipita.opensearch.items import Item

Way = Literal["whole", "in place"]


class Layout:
    """Lays out documents.

    - `whole`: the document takes the place of what is stored.
    - `in place`: only our fields are written into a document that is there, and where it was read from the index, only
      as long as it is the version that was read.

    Args:
        way: one of the two.
        fingerprint: of the model.
    """

    def __init__(self, way: Way, fingerprint: str) -> None:
        self.way = way
        self._fingerprint = fingerprint

    def encoded(
        self, item: Item, draft: Draft, vector: npt.NDArray[np.float32] | Sequence[float], thumbnail: str | None
    ) -> Document:
        """With its vector, [dim]."""
        ours = our_fields(draft, vector, self._fingerprint, thumbnail)
        if self.way == "whole":
            return Document(item.product.id, with_fields(draft.source, ours), item.routing)
        guard = None if item.stored is None else (item.stored.seq_no, item.stored.primary_term)
        return Document(item.product.id, b'{"doc":' + ours + b"}", item.routing, "update", guard)

    def without_vector(self, item: Item, draft: Draft) -> Document | None:
        """A document of the shop that can have no vector still belongs into its copy; None where nothing is lost."""
        if self.way == "in place" or item.stored is None:
            return None
        # Without hashes, so that the next run tries again.
        ours = orjson.dumps({"clipita": {"fingerprint": self._fingerprint}})
        return Document(item.product.id, with_fields(draft.source, ours), item.routing)
