"""Products on their way into the index, the documents made of them, and the two hashes that tell what changed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from clipita.catalogue.fields import clashing_column
from clipita.catalogue.images.decode import MAX_BYTES, opened_image
from clipita.catalogue.images.download import download
from clipita.catalogue.images.files import read_file
from clipita.catalogue.product import ImageSource, Product, Rejection
from clipita.errors import ImageError, ProductError
from clipita.opensearch.cluster.bulk import Document
from clipita.opensearch.index.attributes import AttributeFields, attribute_key
from clipita.opensearch.index.categories import node_ids
from clipita.opensearch.index.mapping import ID_FIELD, OWN_ID_FIELD, VECTOR_FIELD

OnReject = Callable[[Rejection], None]
BrokenImages = tuple[tuple[int, str], ...]
"""The places of images in `Product.images`, and why each cannot be used."""
Vector = npt.NDArray[np.float32] | Sequence[float]


@dataclass(frozen=True, slots=True)
class Stored:
    """A document of the shop's own index; `seq_no` and `primary_term` are the version that was read."""

    source: dict[str, Any] = field(repr=False)
    routing: str | None
    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Item:
    """A product and its place in the source: a file or index, and the row there, from 1.

    A source that is an index gives the document too (`stored`). `problem` says why the product can have no vector.
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
        """The line for the file of rejected products."""
        return Rejection(self.file, self.row, self.product.id, reason)


DOCUMENT_VERSION = 2
"""Part of the document hash; a new number makes the next run rewrite all documents."""
THUMBNAIL_SIZE = 160
THUMBNAIL_QUALITY = 80

_URL = re.compile(r"https?://", re.IGNORECASE)
_JSON = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class Draft:
    """A product's document without vector and thumbnail.

    Attributes:
        product: with the bytes of its images.
        source: the shop's fields as a JSON object.
        content_hash: of the model and of what the vector is made of, 64 hex digits.
        document_hash: of the whole document, 64 hex digits.
        text_hash: what the content hash is without the images.
        image_hashes: of each image that the vector is made of, 16 hex digits.
        fingerprint: of the model.
        kept: whether the source is a document of the shop's own.
        problem: why an image cannot be used.
        flat: its attributes without a field of their own; see `AttributeFields.flat`.
    """

    product: Product = field(repr=False)
    source: bytes = field(repr=False)
    content_hash: str
    document_hash: str
    text_hash: str = ""
    image_hashes: tuple[str, ...] = ()
    fingerprint: str = ""
    kept: bool = False
    problem: str | None = None
    flat: Mapping[str, list[str]] = field(default_factory=dict, repr=False)

    @property
    def is_broken(self) -> bool:
        """Whether an image cannot be used, and there is no other."""
        return self.problem is not None and not self.product.images

    def without_images(self, broken: BrokenImages) -> Draft:
        """The draft of a product without images that cannot be used.

        What is left of several counts as if the catalogue had no more. The next run sees by the hashes that it does.
        """
        product, problem = self.product.without_images(dict(broken)), broken[0][1]
        if not product.images:
            return dataclasses.replace(self, product=product, image_hashes=(), problem=problem)
        contents = list(map(_image_content, product.images))
        draft = self.with_vector_of(_content_hash(product, contents, self.fingerprint), _short_hashes(contents))
        source = self.source if self.kept else _with_image_field(self.source, product)
        return dataclasses.replace(draft, product=product, source=source, problem=f"{problem}; others are used")

    def with_vector_of(self, content_hash: str, image_hashes: Sequence[str] = ()) -> Draft:
        """The draft with the content hash of its vector, which is not made of the whole product, and of its images.

        The next run sees by the hashes that an image is still to be used.
        """
        document_hash = _digest(self.document_hash.encode(), content_hash.encode())
        return dataclasses.replace(
            self, content_hash=content_hash, document_hash=document_hash, image_hashes=tuple(image_hashes)
        )


def make_draft(
    product: Product,
    fingerprint: str,
    thumbnails: bool,
    stored: Mapping[str, Any] | None = None,
    images: bool = True,
    id_field: str = ID_FIELD,
    attributes: AttributeFields | None = None,
) -> Draft:
    """Read or fetch the images' bytes, make the document and hash both.

    An image by URL is hashed by its bytes too; a cached one costs one short request for its validator. Where the model
    reads no images (`images`), none is fetched, and a URL is hashed by its text. One that cannot be read stays, for the
    decoder to say why. With `stored`, the shop's own document is kept instead of one made from the product; `id_field`
    is where the id to sort by will be. `attributes` are those with a field of their own; None: all.

    Raises:
        ProductError: the product is empty, or a field cannot be in a document.
    """
    if not (product.title or product.attributes or product.images):
        raise ProductError("the product is empty: it has neither title nor attributes nor image")
    product = dataclasses.replace(product, images=tuple(_with_bytes(image, images) for image in product.images))
    source = _source(product) if stored is None else kept_source(stored, product.id, id_field)
    contents = list(map(_image_content, product.images))
    content = _content_hash(product, contents, fingerprint)
    nodes = orjson.dumps(product.category_cell)
    version = f"{DOCUMENT_VERSION} {thumbnails}" + (f" {id_field}" if id_field != ID_FIELD else "")
    flat = {} if attributes is None else attributes.flat(product)
    more = [orjson.dumps(flat)] if flat else []
    document_hash = _digest(source, content.encode(), nodes, version.encode(), *more)
    text_hash, hashes = _content_hash(product, (), fingerprint), _short_hashes(contents)
    return Draft(
        product, source, content, document_hash, text_hash, hashes, fingerprint, kept=stored is not None, flat=flat
    )


def is_url(image: ImageSource) -> bool:
    """Whether an image has to be fetched from a server."""
    return image.data is None and _is_address(image)


def _is_address(image: ImageSource) -> bool:
    return bool(image.location and _URL.match(image.location))


def our_marks(draft: Draft, fingerprint: str, thumbnail: str | None) -> dict[str, Any]:
    """What clipita notes in a document, in its object `clipita`."""
    marks: dict[str, Any] = {
        "content_hash": draft.content_hash,
        "document_hash": draft.document_hash,
        "fingerprint": fingerprint,
        **draft.flat,
    }
    if draft.text_hash != draft.content_hash:
        marks["text_hash"] = draft.text_hash
    if len(draft.image_hashes) > 1:
        marks["image_hashes"] = draft.image_hashes
    if draft.product.category_paths:
        marks["categories"] = node_ids(draft.product.category_paths)
    if thumbnail is not None:
        marks["thumbnail"] = thumbnail
    return marks


def with_fields(source: bytes, ours: bytes) -> bytes:
    """Two JSON objects as one, joined at their braces so that neither is serialised again; `ours` is not empty."""
    return ours if source == b"{}" else source[:-1] + b"," + ours[1:]


def make_thumbnail(product: Product) -> str | None:
    """A JPEG of the main image of at most 160 pixels per side, base64; None without images.

    None also where the main image is a URL, which a page can show.

    Raises:
        ImageError: none of the images can be read.
    """
    first_error: ImageError | None = None
    for image in product.images:
        if _is_address(image):
            return None
        if image.data is None:
            continue
        stream = io.BytesIO()
        try:
            with opened_image(image, at_least=(THUMBNAIL_SIZE, THUMBNAIL_SIZE)) as small:
                small.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
                small.save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
        except ImageError as error:
            first_error = first_error or error
            continue
        return base64.b64encode(stream.getvalue()).decode("ascii")
    if first_error is not None:
        raise first_error
    return None


def kept_source(stored: Mapping[str, Any], id_: str, id_field: str) -> bytes:
    """A document of the shop's own index as JSON, without clipita's fields, and with our id where that name is free."""
    kept = {name: value for name, value in stored.items() if name not in (VECTOR_FIELD, "clipita")}
    return orjson.dumps(kept | ({ID_FIELD: id_} if id_field == ID_FIELD else {}), option=_JSON)


def _with_bytes(image: ImageSource, fetched: bool) -> ImageSource:
    """The image with its bytes; where it cannot be read or fetched the decoder gives the error."""
    if image.data is not None or image.location is None or (is_url(image) and not fetched):
        return image
    try:
        data = download(image.location, MAX_BYTES) if is_url(image) else read_file(image, MAX_BYTES)
    except ImageError as error:
        return dataclasses.replace(image, problem=error.message)
    return ImageSource(data=data, location=image.location)


def _content_hash(product: Product, contents: Sequence[bytes], fingerprint: str) -> str:
    content = contents[0] if len(contents) == 1 else b"several" + _digest(*contents).encode() if contents else b"none"
    return _digest(
        fingerprint.encode(), orjson.dumps(product.title), orjson.dumps(sorted(product.attributes.items())), content
    )


def _image_content(image: ImageSource) -> bytes:
    if image.data is None:
        return b"location" + (image.location or "").encode()
    return b"data" + hashlib.sha256(image.data).digest()


def _short_hashes(contents: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(_digest(content)[:16] for content in contents)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        # The length before each part tells ("ab", "c") from ("a", "bc").
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _source(product: Product) -> bytes:
    clashing = clashing_column(product.extra)
    if clashing is not None:
        raise ProductError(f"a column has a name that clipita writes itself: {clashing}; rename it in the catalogue")
    document: dict[str, Any] = {name: value for name, value in product.extra.items() if value is not None}
    document[ID_FIELD] = product.id
    if product.title:
        document["title"] = product.title
    if product.attributes:
        document["attributes"] = _attribute_fields(product.attributes)
        document["attributes_text"] = product.attribute_texts
    if product.category_paths:
        document["category_path"] = product.category_cell
    if product.image_cell is not None:
        document["image"] = product.image_cell
    try:
        return orjson.dumps(document, option=_JSON)
    except (TypeError, ValueError) as error:
        raise ProductError(f"a field cannot be written as JSON: {error}") from error


def _with_image_field(source: bytes, product: Product) -> bytes:
    """A document made of a product, with the images that the product has now."""
    document = {name: value for name, value in orjson.loads(source).items() if name != "image"}
    image = {} if product.image_cell is None else {"image": product.image_cell}
    return orjson.dumps(document | image, option=_JSON)


def _attribute_fields(attributes: Mapping[str, str]) -> dict[str, str | list[str]]:
    fields: dict[str, str | list[str]] = {}
    for name, value in attributes.items():
        key = attribute_key(name)
        known = fields.get(key, [])
        values = [known, value] if isinstance(known, str) else [*known, value]
        fields[key] = values if len(values) > 1 else value
    return fields


Way = Literal["replace", "update"]


class Layout:
    """Makes documents.

    - `replace`: the document replaces what is stored.
    - `update`: only our fields are written into an existing document, and, where it was read from the index, only as
      long as it is the version that was read.

    `id_field` is the field of the id to sort by.
    """

    def __init__(self, way: Way, fingerprint: str, id_field: str = ID_FIELD) -> None:
        self._way = way
        self._fingerprint = fingerprint
        self._id_field = id_field

    def encoded(self, item: Item, draft: Draft, vector: Vector | None, thumbnail: str | None) -> Document:
        """The document with its vector, [dim], or without one where nothing but a broken image could make it."""
        return self._document(item, draft, our_marks(draft, self._fingerprint, thumbnail), vector)

    def without_vector(self, item: Item, draft: Draft) -> Document | None:
        """A document of the shop without a vector, which is still in its index and on its category's page.

        None for a product of a catalogue, which is left out.
        """
        if item.stored is None:
            return None
        # Without hashes, so that the next run tries again.
        marks = {"fingerprint": self._fingerprint, "categories": node_ids(item.product.category_paths)}
        return self._document(item, draft, marks, None)

    def _document(self, item: Item, draft: Draft, marks: dict[str, Any], vector: Vector | None) -> Document:
        id_ = item.product.id
        if self._way == "update":
            # An update leaves what it does not name: what a product has lost must be said.
            marks = {"image_hashes": [], "categories": [], "flat": [], "flat_names": [], **marks}
        ours: dict[str, Any] = {} if vector is None else {VECTOR_FIELD: vector}
        if self._id_field == OWN_ID_FIELD:
            marks = {"id": id_, **marks}
        elif self._way == "update":
            ours[ID_FIELD] = id_
        line = orjson.dumps({**ours, "clipita": marks}, option=orjson.OPT_SERIALIZE_NUMPY)
        if self._way == "replace":
            return Document(id_, with_fields(draft.source, line), item.routing)
        guard = None if item.stored is None else (item.stored.seq_no, item.stored.primary_term)
        return Document(id_, b'{"doc":' + line + b"}", item.routing, "update", guard)
