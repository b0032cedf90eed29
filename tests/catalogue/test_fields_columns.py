from __future__ import annotations

import re
from pathlib import Path

import pytest

from clipita.catalogue.fields import resolve_columns
from clipita.config import FieldsConfig
from clipita.errors import FieldMappingError

FILE = Path("shop.parquet")
USUAL = ["product_id", "title", "category_path", "attributes", "image", "price"]


class TestResolveColumns:
    def test_usual_names_stay(self) -> None:
        assert resolve_columns(FieldsConfig(), USUAL, FILE) == FieldsConfig()

    def test_absent_defaults_become_empty(self) -> None:
        fields = resolve_columns(FieldsConfig(), ["product_id", "title"], FILE)
        assert (fields.title, fields.category_path, fields.image, fields.attributes) == ("title", "", "", ())

    def test_missing_id_lists_columns_and_names_the_nearest(self) -> None:
        with pytest.raises(FieldMappingError) as caught:
            resolve_columns(FieldsConfig(), ["productid", "title"], FILE)
        assert "shop.parquet" in str(caught.value)
        assert "productid, title" in str(caught.value)
        assert '--id-field "productid"' in str(caught.value)

    def test_sku_is_offered_as_the_id(self) -> None:
        with pytest.raises(FieldMappingError, match="Did you mean 'sku'"):
            resolve_columns(FieldsConfig(), ["sku", "title"], FILE)

    @pytest.mark.parametrize(
        "fields", [FieldsConfig(title="nmae"), FieldsConfig(category_path="nmae"), FieldsConfig(image="nmae")]
    )
    def test_named_column_must_exist(self, fields: FieldsConfig) -> None:
        with pytest.raises(FieldMappingError, match=r"no column 'nmae' for the .*Did you mean 'name'"):
            resolve_columns(fields, [*USUAL, "name"], FILE)

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            (
                FieldsConfig(category_columns=("zzz",)),
                r"'zzz' for the category columns.*category_columns = \[\"NAME\"\]",
            ),
            (FieldsConfig(category_columns=("titel",)), r"Did you mean 'title'\? Use category_columns = \[\"title\"\]"),
            (FieldsConfig(group="zzz"), r"'zzz' for the group.*--group-field"),
        ],
    )
    def test_levels_and_groups_must_exist(self, fields: FieldsConfig, said: str) -> None:
        with pytest.raises(FieldMappingError) as caught:
            resolve_columns(fields, USUAL, FILE)
        assert re.search(said, str(caught.value))

    def test_named_attribute_columns_must_all_exist(self) -> None:
        with pytest.raises(FieldMappingError, match="Did you mean 'colour'"):
            resolve_columns(FieldsConfig(attributes=("brand", "color")), [*USUAL, "brand", "colour"], FILE)

    @pytest.mark.parametrize(
        ("absent", "present"),
        [
            ("title", "Title"),
            ("title", "product_title"),
            ("title", "ProductName"),
            ("title", "titel"),
            ("category_path", "category"),
            ("category_path", "google_product_category"),
            ("category_path", "Category Path"),
            ("image", "image_url"),
            ("image", "mainImageURL"),
            ("attributes", "Attributes"),
        ],
    )
    def test_lookalike_of_an_absent_default_is_an_error(self, absent: str, present: str) -> None:
        columns = [present if name == absent else name for name in USUAL]
        with pytest.raises(FieldMappingError, match=f"no column '{absent}', but '{present}' looks like it"):
            resolve_columns(FieldsConfig(), columns, FILE)

    @pytest.mark.parametrize("column", ["image_width", "subtitle", "category_id", "brand"])
    def test_unrelated_columns_are_no_lookalikes(self, column: str) -> None:
        absent = {"image_width": "image", "subtitle": "title", "category_id": "category_path"}.get(column, "attributes")
        columns = [column if name == absent else name for name in USUAL]
        assert resolve_columns(FieldsConfig(), columns, FILE).id == "product_id"

    def test_empty_name_says_that_there_is_none(self) -> None:
        columns = ["product_id", "title", "image_url", "Category"]
        fields = resolve_columns(FieldsConfig(image="", category_path="", attributes=("",)), columns, FILE)
        assert (fields.image, fields.category_path, fields.attributes) == ("", "", ())

    def test_something_to_go_by_is_needed(self) -> None:
        with pytest.raises(FieldMappingError, match="no column for a title, an image or attributes"):
            resolve_columns(FieldsConfig(), ["product_id", "price"], FILE)
