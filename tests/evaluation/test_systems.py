"""Several models over one catalogue: their rows, their names, and products that one of them cannot take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from clipita.catalogue.product import Product, Rejection
from clipita.catalogue.reader import CatalogueFile
from clipita.config import FieldsConfig
from clipita.errors import BundleError, ProductError
from clipita.evaluation.bm25 import Bm25
from clipita.evaluation.encode import Model, encode_catalogue
from clipita.evaluation.protocol import TreeProtocol, Vectors
from clipita.evaluation.systems import measure_bm25, measure_models


@dataclass(frozen=True)
class Letters:
    """Encodes a text as its letter counts, which makes it a model whose rankings can be worked out by hand.

    It is bundle, text encoder and product encoder in one.
    """

    fingerprint: str = "0" * 64
    modalities: str = "T"
    zero_shot: bool = True
    trained_letter: str = "z"
    zero_shot_letter: str = "a"
    broken: bool = False

    def prepare(self, product: Product) -> str:
        words = " ".join([*([product.title] if product.title else []), *product.attributes.values()])
        if "T" in self.modalities and product.title is None and not (product.attributes and "A" in self.modalities):
            raise ProductError("has no title, so it gets no vector")
        return words if "A" in self.modalities else product.title or ""

    def encode(self, texts: Sequence[str]) -> Vectors:
        return self._count(texts, self.trained_letter)

    def features(self, texts: Sequence[str]) -> Vectors:
        return self._count(texts, self.zero_shot_letter)

    def _count(self, texts: Sequence[str], letter: str) -> Vectors:
        if not texts:
            return np.zeros((0, 2), dtype=np.float32)
        rows = [[text.count(letter), 1] for text in texts]
        vectors = np.array(rows, dtype=np.float32) * (np.nan if self.broken else 1)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def model(name: str, letters: Letters) -> Model:
    return Model(name, letters, letters, letters)


@pytest.fixture
def feed(tmp_path: Path) -> CatalogueFile:
    file = tmp_path / "feed.csv"
    rows = ["5,zzz,zz,", "4,aza,zz,", "3,aaa,aa,", "2,aab,aa,", "1,,aa,red"]
    file.write_text("\n".join(["product_id,title,category_path,colour", *rows]) + "\n")
    return CatalogueFile(file, FieldsConfig(attributes=("colour",)))


def measured(feed: CatalogueFile, models: list[Model]) -> tuple[dict[str, float], list[str]]:
    remarks: list[str] = []
    evaluated = encode_catalogue(feed, models, on_reject=lambda _: None)
    protocol = TreeProtocol(evaluated.products)
    results = measure_models(protocol, evaluated, models, remarks.append)
    return {result.system.name: result.mean("R-precision") for result in results}, remarks


def test_vectors_stand_in_the_order_of_the_products(feed: CatalogueFile) -> None:
    # The file's order is not that of the ids: a mix-up would rank the wrong products.
    rows, remarks = measured(feed, [model("clip-t", Letters(zero_shot=False))])
    assert rows == {"clip-t": 100.0}
    assert "clip-t: its towers were trained from scratch" in remarks[0]


def test_models_of_the_same_towers_share_a_zero_shot_row(feed: CatalogueFile) -> None:
    rows, remarks = measured(feed, [model("one", Letters()), model("two", Letters(trained_letter="b"))])
    assert list(rows) == ["zero-shot", "one", "two"]
    assert remarks == []


def test_models_of_other_towers_have_zero_shot_rows_of_their_own(feed: CatalogueFile) -> None:
    rows, _ = measured(feed, [model("one", Letters()), model("two", Letters(zero_shot_letter="b"))])
    assert list(rows) == ["zero-shot (one)", "zero-shot (two)", "one", "two"]


def test_products_without_a_modality_are_encoded_once_more(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    rows = ["1,z,zz,", "2,aa,aa,zzz", "3,aa,aa,"]
    file.write_text("\n".join(["product_id,title,category_path,colour", *rows]) + "\n")
    catalogue = CatalogueFile(file, FieldsConfig(attributes=("colour",)))
    models = [
        model("clip-ta", Letters(modalities="TA", zero_shot=False)),
        model("clip-t", Letters(zero_shot=False)),
    ]
    evaluated = encode_catalogue(catalogue, models, without=("title", "attributes"), on_reject=lambda _: None)
    remarks: list[str] = []
    protocol = TreeProtocol(evaluated.products)
    results = list(measure_models(protocol, evaluated, models, remarks.append))
    found = {(result.system.name, result.system.without): result for result in results}
    assert list(found) == [
        ("clip-ta", None), ("clip-t", None), ("clip-ta", "title"), ("clip-t", "title"), ("clip-ta", "attributes")
    ]  # fmt: skip
    (zz,) = [number for number, query in enumerate(protocol.queries) if query.text == "zz"]
    # With its attribute, product 2 is nearer to the query than product 1 by its title.
    assert found["clip-ta", None].rankings[zz].tolist()[0] == 1
    assert found["clip-ta", "attributes"].rankings[zz].tolist()[0] == 0
    # Without titles only product 2 has anything left, and nothing at all where titles are all that is read.
    assert found["clip-ta", "title"].rankings[zz].tolist() == [1]
    assert found["clip-t", "title"].rankings[zz].tolist() == []
    assert any("clip-t does not read the attributes" in remark for remark in remarks)
    assert any("nothing is left of 3 products without title" in remark for remark in remarks)


def test_what_one_model_cannot_take_is_left_out_for_all(feed: CatalogueFile) -> None:
    rejected: list[Rejection] = []
    done: list[int] = []
    evaluated = encode_catalogue(feed, [model("clip-t", Letters())], on_reject=rejected.append, on_products=done.append)
    assert [product.id for product in evaluated.products] == ["2", "3", "4", "5"]
    assert evaluated.vectors[0].shape == (4, 2)
    assert [(item.row, item.id) for item in rejected] == [(6, "1")]
    assert "has no title" in rejected[0].reason


def test_without_models_the_words_alone_are_measured(feed: CatalogueFile) -> None:
    evaluated = encode_catalogue(feed, [], on_reject=lambda _: None)
    protocol = TreeProtocol(evaluated.products)
    assert len(protocol.products) == 5
    assert measure_bm25(protocol, Bm25(protocol.products), lambda _: None).mean("P@1") == 0


def test_a_field_without_text_is_told(feed: CatalogueFile) -> None:
    remarks: list[str] = []
    protocol = TreeProtocol(encode_catalogue(feed, [], on_reject=lambda _: None).products)
    measure_bm25(protocol, Bm25(protocol.products, ["title", "brand"]), remarks.append)
    assert remarks == ["bm25: no product has text in the field brand, so it finds nothing there."]


def test_vectors_that_are_not_finite_are_refused(feed: CatalogueFile) -> None:
    with pytest.raises(BundleError, match="clip-t gives vectors that are not finite"):
        encode_catalogue(feed, [model("clip-t", Letters(broken=True))], on_reject=lambda _: None)
