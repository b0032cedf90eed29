"""What travels through an ingest: a product, where it comes from, and the document it already has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from clipita.catalogue.product import Product
from clipita.catalogue.rejection import Rejection

OnReject = Callable[[Rejection], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A document of the shop's own index, which is kept as it is.

    Attributes:
        source: its `_source`.
        routing: its routing value, or None.
        seq_no: with `primary_term`, the version that was read.
        primary_term: see `seq_no`.
    """

    source: dict[str, Any] = field(repr=False)
    routing: str | None
    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Item:
    """A product and where it stands.

    Attributes:
        product: what is encoded.
        file: the catalogue file or index.
        row: its row there, from 1.
        stored: the document it was read from, where the source is an index.
        problem: why it can have no vector, where that is known already.
    """

    product: Product = field(repr=False)
    file: str
    row: int
    stored: Stored | None = None
    problem: str | None = None

    @property
    def routing(self) -> str | None:
        """The document's routing value."""
        return None if self.stored is None else self.stored.routing

    def rejection(self, reason: str) -> Rejection:
        """Why it is left out."""
        return Rejection(self.file, self.row, self.product.id, reason)


class ProductSource(Protocol):
    """Where products come from."""

    @property
    def total(self) -> int | None:
        """How many rows there are; None where nobody knows."""
        ...

    def items(self, reject: OnReject) -> Iterator[Item]:
        """All usable products, each id once; `reject` gets the others.

        Raises:
            CatalogueError: the source breaks off.
        """
        ...

    def again(self, ids: Sequence[tuple[str, str | None]]) -> Iterator[Item]:
        """Products that changed while they were under way, read anew.

        Args:
            ids: pairs of id and routing.
        """
        ...
