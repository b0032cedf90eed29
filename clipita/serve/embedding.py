"""The bodies of requests for vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
import orjson
from starlette.datastructures import UploadFile
from starlette.requests import Request

from clipita.catalogue.product import ImageSource, Product
from clipita.errors import RequestError

MAX_TEXTS = 256
MAX_PRODUCTS = 32
MAX_CHARACTERS = 20_000
MAX_ATTRIBUTES = 500
MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request with images."""

Text = Annotated[str, msgspec.Meta(max_length=MAX_CHARACTERS)]


class Texts(msgspec.Struct, forbid_unknown_fields=True):
    """The texts to encode."""

    texts: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=MAX_TEXTS)]


class ProductBody(msgspec.Struct, forbid_unknown_fields=True):
    """A product to encode; at least one of its parts is given."""

    title: Text | None = None
    attributes: Annotated[dict[str, Text], msgspec.Meta(max_length=MAX_ATTRIBUTES)] | None = None
    # Neither a path nor an address: the server would read its own files, or reach where only it can.
    image: (
        Annotated[bytes, msgspec.Meta(min_length=1, description="The image's bytes in base64, no address.")] | None
    ) = None


class Products(msgspec.Struct, forbid_unknown_fields=True):
    """The products to encode."""

    products: Annotated[list[ProductBody], msgspec.Meta(min_length=1, max_length=MAX_PRODUCTS)]


Body = TypeVar("Body")


def texts_in(content: Any) -> list[str]:
    """The texts of `{"texts": [...]}`, or of `{"text": "..."}`; a RequestError for anything else."""
    if isinstance(content, Mapping) and set(content) == {"text"}:
        content = {"texts": [content["text"]]}
    hint = 'Send {"texts": ["running shoes"]}.'
    texts = _converted(content, Texts, hint).texts
    for number, text in enumerate(texts):
        if not text.strip():
            raise _refused(f"texts[{number}] is empty.", hint)
    return texts


async def products_in(request: Request) -> list[Product]:
    """The products of a multipart form (one) or of JSON (`{"products": [...]}`, or one); else a RequestError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        content: Any = {"products": [await _form(request)]}
    else:
        content = json_in(await request.body())
        if isinstance(content, Mapping) and "products" not in content:
            content = {"products": [content]}
    hint = 'Send {"products": [{"title": "...", "attributes": {"colour": "Red"}, "image": "<base64>"}]}.'
    entries = _converted(content, Products, hint).products
    return [_product(entry, number, hint) for number, entry in enumerate(entries)]


def json_in(body: bytes) -> Any:
    """A body as JSON, else a RequestError; NaN and Infinity are not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refused(f"The request is not JSON: {error}.") from None


async def _form(request: Request) -> dict[str, Any]:
    async with request.form(max_files=1, max_fields=20, max_part_size=MAX_BODY) as form:
        entry: dict[str, Any] = dict(form)
        if "image" in entry:
            if not isinstance(entry["image"], UploadFile):
                raise _refused("image is not a file.", "Send it as a file of the form.")
            entry["image"] = await entry["image"].read()
    if entry.get("attributes"):
        entry["attributes"] = json_in(str(entry["attributes"]).encode())
    return entry


def _converted(content: Any, kind: type[Body], hint: str) -> Body:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        # msgspec: "Expected `str`, got `int` - at `$.texts[1]`".
        what, _, where = str(error).replace("`", "").partition(" - at $")
        raise _refused(f"{where.lstrip('.') or 'The request'}: {what[0].lower()}{what[1:]}.", hint) from None


def _product(entry: ProductBody, number: int, hint: str) -> Product:
    if entry.title is None and entry.attributes is None and entry.image is None:
        raise _refused(f"products[{number}] has neither title nor attributes nor image.", hint)
    images = () if entry.image is None else (ImageSource(data=entry.image, location=f"image of product {number}"),)
    return Product(id=str(number), title=entry.title, attributes=entry.attributes or {}, images=images)


def _refused(message: str, hint: str | None = None) -> RequestError:
    return RequestError(message, status=400, hint=hint)
