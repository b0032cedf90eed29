"""What a document looks like, and what the two hashes depend on."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from clipita.catalogue.fields import OURS
from clipita.catalogue.product import ImageSource, Product
from clipita.errors import ImageError, ProductError
from clipita.opensearch.index.mapping import ID_FIELD, VECTOR_FIELD
from clipita.opensearch.ingest.documents import Item, Layout, make_draft, make_thumbnail, our_marks

MODEL = "a" * 64


def picture(colour: str = "red", size: int = 400) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (size, size // 2), colour).save(data, "PNG")
    return data.getvalue()


PRODUCT = Product(
    id="p1",
    title="Red shoe",
    attributes={"colour": "red", "care.wash": "30°"},
    category_paths=(("Shoes", "Sneakers"),),
    images=(ImageSource(data=picture(), location="p1.png"),),
    extra={"price": 9.5, "gone": None, "nested": {"a": [1, 2]}},
)


def test_document() -> None:
    draft = make_draft(PRODUCT, MODEL, thumbnails=True)
    vector = np.array([0.6, 0.8], np.float32)
    document = orjson.loads(Layout("replace", MODEL).encoded(Item(PRODUCT, "a.csv", 1), draft, vector, "dGh1bWI=").line)
    assert document == {
        "product_id": "p1",
        "title": "Red shoe",
        "attributes": {"colour": "red", "care_wash": "30°"},
        "attributes_text": ["colour: red", "care.wash: 30°"],
        "category_path": ["Shoes", "Sneakers"],
        "image": "p1.png",
        "price": 9.5,
        "nested": {"a": [1, 2]},
        "product_vector": [pytest.approx(0.6), pytest.approx(0.8)],
        "clipita": {
            "content_hash": draft.content_hash,
            "document_hash": draft.document_hash,
            "text_hash": draft.text_hash,
            "fingerprint": MODEL,
            "categories": ["Shoes", "Shoes > Sneakers"],
            "thumbnail": "dGh1bWI=",
        },
    }


def test_documents_of_one_path_are_not_written_anew() -> None:
    product = Product("1", "Shoe", {"colour": "red"}, (("Shoes", "Sneakers"),))
    draft = make_draft(product, "a" * 64, thumbnails=False)
    # As the first version of clipita wrote it.
    assert draft.document_hash == "b9a2a0f98d1c40e13cf5c745be47672ecefbf43050adde529c678628d5d439c4"


def test_document_of_a_product_in_several_categories() -> None:
    draft = make_draft(replace(PRODUCT, category_paths=(("Shop", "Men"), ("Shop", "Eco"))), MODEL, thumbnails=True)
    assert orjson.loads(draft.source)["category_path"] == [["Shop", "Men"], ["Shop", "Eco"]]
    assert our_marks(draft, MODEL, None)["categories"] == ["Shop", "Shop > Men", "Shop > Eco"]


@pytest.mark.parametrize(
    ("change", "content", "document"),
    [
        ({}, False, False),
        ({"title": "Blue shoe"}, True, True),
        ({"title": None}, True, True),
        ({"attributes": {"colour": "red"}}, True, True),
        ({"attributes": {"care.wash": "30°", "colour": "red"}}, False, True),
        ({"images": (ImageSource(data=picture("blue"), location="p1.png"),)}, True, True),
        ({"images": (ImageSource(data=picture(), location="moved.png"),)}, False, True),
        ({"images": ()}, True, True),
        ({"category_paths": (("Shoes",),)}, False, True),
        ({"category_paths": (("Shoes", "Sneakers"), ("Sale",))}, False, True),
        ({"extra": {"price": 9.6, "gone": None, "nested": {"a": [1, 2]}}}, False, True),
        ({"extra": {"nested": {"a": [1, 2]}, "price": 9.5}}, False, False),
    ],
)
def test_what_the_hashes_depend_on(change: dict[str, object], content: bool, document: bool) -> None:
    before = make_draft(PRODUCT, MODEL, thumbnails=True)
    after = make_draft(replace(PRODUCT, **change), MODEL, thumbnails=True)  # type: ignore[arg-type]
    assert (after.content_hash != before.content_hash) == content
    assert (after.document_hash != before.document_hash) == document


def test_draft_without_image_is_told_from_the_whole_one() -> None:
    whole = make_draft(PRODUCT, MODEL, True)
    bare = make_draft(replace(PRODUCT, images=()), MODEL, True)
    assert whole.text_hash == bare.text_hash == bare.content_hash
    broken = whole.without_images(((0, "gone"),))
    assert broken.is_broken
    assert (broken.product.image, broken.problem, broken.content_hash) == (None, "gone", whole.content_hash)
    made = broken.with_vector_of(broken.text_hash)
    assert made.content_hash == bare.content_hash
    assert made.document_hash not in (whole.document_hash, bare.document_hash)


LIST = replace(
    PRODUCT,
    images=(
        ImageSource(data=b"<html>404</html>", location="https://h/gone.png"),
        ImageSource(data=picture(), location="https://h/red.png"),
        ImageSource(data=picture("blue"), location="https://h/blue.png"),
    ),
)


def test_a_list_of_images_is_in_the_document_the_main_one_first() -> None:
    draft = make_draft(LIST, MODEL, True)
    assert orjson.loads(draft.source)["image"] == ["https://h/gone.png", "https://h/red.png", "https://h/blue.png"]
    seen = {draft.content_hash}
    # Any other image, one less, or another order is another vector or another main image.
    for images in (LIST.images[:2], LIST.images[::-1], (*LIST.images[:2], LIST.images[1])):
        seen.add(make_draft(replace(LIST, images=images), MODEL, True).content_hash)
    assert len(seen) == 4


def test_a_draft_without_a_broken_image_is_that_of_the_others() -> None:
    whole = make_draft(LIST, MODEL, True)
    partly = whole.without_images(((0, "the image is not of a known format: x"),))
    others = make_draft(replace(LIST, images=LIST.images[1:]), MODEL, True)
    assert not partly.is_broken
    assert partly.problem == "the image is not of a known format: x; others are used"
    assert (partly.content_hash, partly.source) == (others.content_hash, others.source)
    # The next run sees that there is one to try again.
    assert partly.document_hash not in (whole.document_hash, others.document_hash)
    assert orjson.loads(partly.without_images(((1, "gone"),)).source)["image"] == "https://h/red.png"


def test_a_document_of_the_shop_keeps_its_images() -> None:
    stored = {"photos": ["a", "b"], "image": "own"}
    draft = make_draft(LIST, MODEL, True, stored).without_images(((0, "broken"),))
    assert orjson.loads(draft.source) == stored | {"product_id": "p1"}


def test_an_image_that_cannot_be_fetched_or_read_says_why(tmp_path: Path) -> None:
    images = (ImageSource(location="http://127.0.0.1:1/a.png"), ImageSource(location="none.png", roots=(tmp_path,)))
    draft = make_draft(replace(PRODUCT, images=(*images, *PRODUCT.images)), MODEL, True)
    first, second, whole = draft.product.images
    assert "not a public address" in (first.problem or "")
    assert "does not exist" in (second.problem or "")
    assert whole.data is not None


def test_another_model_changes_both_hashes() -> None:
    before, after = make_draft(PRODUCT, MODEL, True), make_draft(PRODUCT, "b" * 64, True)
    assert before.content_hash != after.content_hash
    assert before.document_hash != after.document_hash


def test_picture_file_counts_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    file.write_bytes(picture())
    product = replace(PRODUCT, images=(ImageSource(location="p.png"),)).located(tmp_path)
    draft = make_draft(product, MODEL, True)
    assert orjson.loads(draft.source)["image"] == "p.png"
    first = draft.content_hash
    assert first == make_draft(PRODUCT, MODEL, True).content_hash
    file.write_bytes(picture("blue"))
    assert make_draft(product, MODEL, True).content_hash != first


def test_attributes_whose_names_become_one_field_keep_all_values() -> None:
    product = Product(id="1", attributes={"care.wash": "30°", "care_wash": "40°"})
    document = orjson.loads(make_draft(product, MODEL, True).source)
    assert document["attributes"] == {"care_wash": ["30°", "40°"]}


@pytest.mark.parametrize(
    ("product", "reason"),
    [
        (Product(id="1", extra={"price": 1}), "neither title nor attributes nor image"),
        (Product(id="1", title="x", extra={"clipita.x": 1}), "a name that clipita writes itself: clipita.x"),
        (Product(id="1", title="x", extra={"huge": 2**70}), "cannot be written as JSON"),
    ],
)
def test_products_that_give_no_document(product: Product, reason: str) -> None:
    with pytest.raises(ProductError, match=reason):
        make_draft(product, MODEL, True)


def test_thumbnail() -> None:
    encoded = make_thumbnail(PRODUCT)
    assert encoded is not None
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as small:
        assert (small.format, small.size) == ("JPEG", (160, 80))
    assert make_thumbnail(replace(PRODUCT, images=())) is None
    broken = ImageSource(data=b"<html>", location="a.png")
    assert make_thumbnail(replace(PRODUCT, images=(broken, *PRODUCT.images))) == encoded
    with pytest.raises(ImageError, match="not of a known format"):
        make_thumbnail(replace(PRODUCT, images=(broken,)))
    assert make_thumbnail(replace(PRODUCT, images=(ImageSource(location="https://example.org/p.jpg"),))) is None


def test_names_that_documents_have_are_those_that_columns_may_not_have() -> None:
    assert {ID_FIELD, VECTOR_FIELD, "clipita"} <= set(OURS)
    assert set(orjson.loads(make_draft(PRODUCT, MODEL, True).source)) - set(PRODUCT.extra) <= set(OURS)
