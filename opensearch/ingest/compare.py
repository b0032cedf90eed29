"""Comparison with the index: which products are unchanged, which need a new document, which a new vector."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from clipita.catalogue.images.decode import load_image
from clipita.errors import ImageError, ProductError
from clipita.opensearch.cluster.reads import address, get_documents, value_at
from clipita.opensearch.cluster.retry import Backoff
from clipita.opensearch.index.categories import node_ids
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD
from clipita.opensearch.ingest.context import RunContext
from clipita.opensearch.ingest.documents import Draft, Item, is_url, kept_source, make_draft, make_thumbnail
from clipita.opensearch.ingest.outcomes import Outcome
from clipita.opensearch.ingest.stages import CHUNK, BatchStage, WriteStage

Drafting = Sequence[tuple[Sequence[Item], "Future[list[Draft | ProductError]]"]]
"""Products whose drafts are being made, by task."""
_MARKS = ("id", "content_hash", "document_hash", "text_hash", "image_hashes", "categories", "flat")
MARKS = ",".join([ID_FIELD, *(f"clipita.{name}" for name in _MARKS)])


@dataclass
class Comparison:
    """Decides per product: skip it, write its document with the stored vector, or encode it.

    Images are read and hashed in `pool`; those by URL are waited for in `fetch`. With `empty` the index is known to
    hold nothing, so that there is nothing to compare with.
    """

    context: RunContext
    encode: BatchStage[Any]
    write: WriteStage
    pool: ThreadPoolExecutor
    fetch: ThreadPoolExecutor
    backoff: Backoff
    empty: bool

    def begin(self, batch: Sequence[Item]) -> Drafting:
        """Begin to read, fetch and hash a batch of products; `take` waits for them."""
        if self.context.source.total is None:
            self._map_new(batch)
        tasks: list[tuple[Sequence[Item], Future[list[Draft | ProductError]]]] = []
        for remote, group in itertools.groupby(batch, self._is_remote):
            items = list(group)
            # A fetch waits for its server, so each one has a thread.
            pool, together = (self.fetch, 1) if remote else (self.pool, CHUNK)
            for start in range(0, len(items), together):
                part = items[start : start + together]
                tasks.append((part, pool.submit(lambda items: [self._draft(item) for item in items], part)))
        return tasks

    def take(self, batch: Drafting) -> None:
        """Compare a batch of products and send each to its next stage."""
        drafted = self._drafts(batch)
        stored = {} if self.empty else self._marked([item for item, _ in drafted])
        fresh: list[tuple[Item, Draft]] = []
        refreshed: list[tuple[Item, Draft]] = []
        broken: list[tuple[Item, Draft]] = []
        other_image: list[tuple[Item, Draft]] = []
        for item, draft in drafted:
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            same_content = marks.get("content_hash") == draft.content_hash
            if item.problem is not None:
                self.write.put_without_vector(item, draft, item.problem)
            elif same_content and self._same_rest(draft, source):
                self.context.ledger.count(Outcome.UNCHANGED)
            elif same_content:
                refreshed.append((item, draft))
            elif self._decodes(draft) and _text_hash(marks) == draft.text_hash:
                other_image.append((item, draft))
            else:
                fresh.append((item, draft))
        for item, draft in self._checked(other_image):
            source = stored[item.product.id]
            marks = source["clipita"]
            # A vector of more images than can be read now stays.
            of_more = draft.problem and set(draft.image_hashes) < set(marks.get("image_hashes", ()))
            if draft.is_broken or of_more:
                broken.append((item, draft))
            elif marks.get("content_hash") != draft.content_hash:
                fresh.append((item, draft))
            elif self._same_rest(draft, source):
                self.context.ledger.warn(item.rejection(draft.problem or ""))
                self.context.ledger.count(Outcome.UNCHANGED)
            else:
                refreshed.append((item, draft))
        self.encode.put_all(fresh)
        self._refresh(refreshed)
        self._keep(broken)

    def _map_new(self, batch: Sequence[Item]) -> None:
        """Of a stream, attributes are known as they come: the first ones get a field."""
        context = self.context
        names = dict.fromkeys(name for item in batch for name in item.product.attributes)
        self.backoff.call(
            context.client, lambda: context.target.attributes.extend(context.client, context.target.name, names)
        )

    def _is_remote(self, item: Item) -> bool:
        """Whether images are fetched for the product."""
        return self.context.images and any(map(is_url, item.product.images))

    def _decodes(self, draft: Draft) -> bool:
        """Whether the product's images are decoded, for its vector or for the thumbnail."""
        images = draft.product.images
        in_thumbnail = self.context.config.thumbnails and any(image.data for image in images)
        return bool(images) and (self.context.images or in_thumbnail)

    def _checked(self, products: Sequence[tuple[Item, Draft]]) -> list[tuple[Item, Draft]]:
        """Products of which nothing but images is new: a broken one shall not cost them their stored vector."""

        def check(draft: Draft) -> Draft:
            broken = []
            for place, image in enumerate(draft.product.images):
                try:
                    load_image(image).close()
                except ImageError as error:
                    broken.append((place, error.message))
            return draft.without_images(tuple(broken)) if broken else draft

        drafts = self.pool.map(check, [draft for _, draft in products])
        return [(item, draft) for (item, _), draft in zip(products, drafts, strict=True)]

    def _same_rest(self, draft: Draft, source: Mapping[str, Any]) -> bool:
        """Whether all that a run writes beside the vector is in the stored document already."""
        marks, id_field = source.get("clipita", {}), self.context.target.id_field
        if self.context.replacing:
            return bool(marks.get("document_hash") == draft.document_hash)
        same_id = value_at(source, id_field) == draft.product.id
        same_flat = marks.get("flat", []) == draft.flat.get("flat", [])
        return same_id and same_flat and bool(marks.get("categories", []) == node_ids(draft.product.category_paths))

    def _marked(self, items: Sequence[Item]) -> dict[str, dict[str, Any]]:
        """Stored hashes; a document that was read from this index has them already."""
        if not self.context.replacing and all(item.stored is not None for item in items):
            return {item.product.id: item.stored.source for item in items if item.stored is not None}
        return self._stored(items, MARKS)

    def _drafts(self, batch: Drafting) -> list[tuple[Item, Draft]]:
        usable: list[tuple[Item, Draft]] = []
        for items, future in batch:
            for item, draft in zip(items, future.result(), strict=True):
                if isinstance(draft, ProductError):
                    self.context.ledger.leave_out(item.rejection(draft.message))
                else:
                    usable.append((item, draft))
        return usable

    def _draft(self, item: Item) -> Draft | ProductError:
        stored = None if item.stored is None else item.stored.source
        if item.problem is not None:
            if stored is None:
                return ProductError(item.problem)
            return Draft(item.product, kept_source(stored, item.product.id, self.context.target.id_field), "", "")
        context = self.context
        fingerprint, thumbnails = context.bundle.fingerprint, context.config.thumbnails
        try:
            return make_draft(
                item.product, fingerprint, thumbnails, stored, context.images, context.target.id_field,
                context.target.attributes,
            )  # fmt: skip
        except ProductError as error:
            return error

    def _refresh(self, changed: Sequence[tuple[Item, Draft]]) -> None:
        """Write documents whose stored vector is still valid."""
        stored = self._stored([item for item, _ in changed], f"{VECTOR_FIELD},clipita")
        for item, draft in changed:
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            # Another writer may have changed the product between the two requests.
            if VECTOR_FIELD not in source or marks.get("content_hash") != draft.content_hash:
                self.encode.put_all([(item, draft)])
                continue
            try:
                thumbnail = None
                if self.context.config.thumbnails:
                    # A new one only where an earlier run made none.
                    thumbnail = marks.get("thumbnail") or make_thumbnail(draft.product)
            except ImageError as error:
                every = tuple((place, error.message) for place in range(len(draft.product.images)))
                self._keep([(item, draft.without_images(every))])
                continue
            self.write.put(item, draft, source[VECTOR_FIELD], thumbnail, Outcome.UPDATED)

    def _keep(self, broken: Sequence[tuple[Item, Draft]]) -> None:
        """Products whose images cannot be used keep the stored vector as long as their words are the same.

        Without one, or with other words, a vector is made of the rest.
        """
        stored = self._stored([] if self.empty else [item for item, _ in broken], f"{VECTOR_FIELD},clipita")
        for item, draft in broken:
            problem = draft.problem or ""
            source = stored.get(item.product.id, {})
            marks = source.get("clipita", {})
            same_words = _text_hash(marks) == draft.text_hash
            kept = draft.with_vector_of(marks.get("content_hash", ""), marks.get("image_hashes", ()))
            if same_words and marks.get("document_hash") == kept.document_hash:
                self.context.ledger.warn(item.rejection(problem))
                self.context.ledger.count(Outcome.UNCHANGED)
            elif same_words and VECTOR_FIELD in source:
                self.write.put(item, kept, source[VECTOR_FIELD], marks.get("thumbnail"), Outcome.UPDATED)
            else:
                self.encode.put_all([(item, draft)])

    def _stored(self, items: Sequence[Item], fields: str) -> dict[str, dict[str, Any]]:
        """Fields of the stored documents by id, in their present state, refreshed or not."""
        docs = [address(item.product.id, item.routing) for item in items]
        context = self.context
        found = get_documents(context.client, context.write_alias, docs, self.backoff, _source_includes=fields)
        return {document["_id"]: document["_source"] for document in found if document["found"]}


def _text_hash(marks: Mapping[str, Any]) -> str | None:
    """`Draft.text_hash` of a stored product; None for one that is not stored, and for an earlier version's."""
    found: str | None = marks.get("text_hash", marks.get("content_hash"))
    return found
