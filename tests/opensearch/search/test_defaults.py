"""The defaults of a search: configured, stored in the index, ours."""

from __future__ import annotations

import pytest

from clipita.config import SearchConfig
from clipita.errors import UsageError
from clipita.opensearch.index.index import ProductIndex
from clipita.opensearch.search.defaults import settings_for, settings_in, settings_to_store

META = {"search": {"weight": 0.25, "fields": ["title^2"], "k": 50, "future": 1}}


def test_a_mapping_overrides_what_the_index_stores() -> None:
    assert settings_for(META) == SearchConfig(weight=0.25, fields=("title^2",), k=50)
    assert settings_for(META, {"weight": 0.5, "size": 5}) == SearchConfig(weight=0.5, fields=("title^2",), k=50, size=5)
    assert settings_for({}, {"fields": ["brand"]}) == SearchConfig(fields=("brand",))


def test_a_search_config_is_used_as_it_is() -> None:
    assert settings_for(META, SearchConfig()) == SearchConfig()


def test_what_is_stored_is_read_again() -> None:
    chosen = SearchConfig(weight_known=0.7, weight_unknown=0.1, pivot=3.0, fields=("title", "brand^2"))
    assert settings_for({"search": settings_to_store(chosen)}) == chosen


def test_text_fields_have_the_names_of_the_index() -> None:
    properties = {"name": {"type": "text"}, "attributes": {"properties": {"brand": {"type": "keyword"}}}}
    index = ProductIndex("shop-1", {"fields": {"title": "name"}}, properties)
    assert settings_in(index, {"fields": ["title^3", "brand"]}).fields == ("name^3", "attributes.brand")
    with pytest.raises(UsageError, match="no field colour"):
        settings_in(index, {"fields": ["colour"]})
