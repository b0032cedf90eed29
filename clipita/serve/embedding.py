"""Requests for vectors: what they hold, checked."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

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
"""Bytes of a request with pictures."""


def texts_in(content: Any) -> list[str]:
    """The texts of `{"texts": [...]}`, or of `{"text": "..."}`.

    Raises:
        RequestError: another form, no text, an empty one, or too many.
    """
    if not isinstance(content, Mapping) or len(content) != 1 or not {"text", "texts"} & set(content):
        raise _off("The request holds no texts.", 'Send {"texts": ["running shoes"]}.')
    texts = [content["text"]] if "text" in content else content["texts"]
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_TEXTS:
        raise _off("texts is no list of 1 to 256 texts.", 'Send {"texts": ["running shoes"]}.')
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_CHARACTERS:
            raise _off(f"Text {number} is no text of 1 to {MAX_CHARACTERS:,} characters.")
    return texts


async def products_in(request: Request) -> list[Product]:
    """The products of a multipart form (one) or of JSON (`{"products": [...]}`, or one).

    Raises:
        RequestError: another form, or a field of the wrong type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return [await _from_form(request)]
    content = json_in(await request.body())
    if not isinstance(content, Mapping):
        raise _off("The request is no JSON object.", 'Send {"products": [{"title": "...", "image": "<base64>"}]}.')
    entries = content.get("products", [content]) if set(content) <= {"products"} else [content]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_PRODUCTS:
        raise _off(f"products is no list of 1 to {MAX_PRODUCTS} products.")
    return [_product(entry, number) for number, entry in enumerate(entries)]


def json_in(body: bytes) -> Any:
    """A body as JSON; NaN and Infinity are none.

    Raises:
        RequestError: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _off(f"The request is not JSON: {error}.") from None


async def _from_form(request: Request) -> Product:
    async with request.form(max_files=1, max_fields=20, max_part_size=MAX_BODY) as form:
        unknown = set(form) - {"title", "attributes", "image"}
        if unknown:
            raise _off(f"The form has an unknown field {sorted(unknown)[0]!r}.", "Known: title, attributes, image.")
        picture = form.get("image")
        data = await picture.read() if isinstance(picture, UploadFile) else None
        if picture is not None and data is None:
            raise _off("image is no file.", "Send it as a file of the form.")
        title, attributes = form.get("title"), form.get("attributes")
    return _made(0, title, json_in(str(attributes).encode()) if attributes else {}, data)


def _product(entry: Any, number: int) -> Product:
    if not isinstance(entry, Mapping) or not entry or set(entry) - {"title", "attributes", "image"}:
        raise _off(f"Product {number} is off.", "A product has title, attributes and image, and at least one of them.")
    picture = entry.get("image")
    if picture is None:
        return _made(number, entry.get("title"), entry.get("attributes") or {}, None)
    # A path or an address is refused: the server would read its own files, or reach where only it can.
    try:
        data = base64.b64decode(picture, validate=True) if isinstance(picture, str) else b""
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise _off(f"The image of product {number} is no picture in base64.", "Send the picture's bytes, no address.")
    return _made(number, entry.get("title"), entry.get("attributes") or {}, data)


def _made(number: int, title: Any, attributes: Any, picture: bytes | None) -> Product:
    if title is not None and (not isinstance(title, str) or len(title) > MAX_CHARACTERS):
        raise _off(f"The title of product {number} is no text of at most {MAX_CHARACTERS:,} characters.")
    whole = isinstance(attributes, Mapping) and len(attributes) <= MAX_ATTRIBUTES
    if not whole or not all(isinstance(value, str) and len(value) <= MAX_CHARACTERS for value in attributes.values()):
        raise _off(
            f"The attributes of product {number} are no object of texts.", 'Send for instance {"colour": "Red"}.'
        )
    image = None if picture is None else ImageSource(data=picture, location=f"image of product {number}")
    return Product(id=str(number), title=title, attributes=dict(attributes), image=image)


def _off(message: str, hint: str | None = None) -> RequestError:
    return RequestError(message, status=400, hint=hint)
