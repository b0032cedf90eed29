"""XML feeds as rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clipita.catalogue.formats.xml import DEEPEST, XmlSource
from clipita.errors import CatalogueError

GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
RSS = f"""<?xml version="1.0"?>
<rss version="2.0" {GOOGLE}><channel><title>Shop</title><link>https://shop.test</link>
<item><g:id>1</g:id><title>A</title><g:title>A of Google</g:title><g:image_link>u</g:image_link>
<g:additional_image_link>v</g:additional_image_link><g:additional_image_link>w</g:additional_image_link>
<g:shipping><g:country>DE</g:country><g:price>1 EUR</g:price></g:shipping></item>
<item><g:id>2</g:id><title>B &amp; C</title><description><![CDATA[<p>warm</p>]]></description><empty/></item>
</channel></rss>"""


def rows(folder: Path, text: str | bytes) -> list[Any]:
    file = folder / "feed.xml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    source = XmlSource(file)
    found = list(source.records())
    assert source.rows == len(found)
    return found


def test_google_s_rss(tmp_path: Path) -> None:
    assert rows(tmp_path, RSS) == [
        (3, {
            "id": "1", "title": "A of Google", "image_link": "u", "additional_image_link": ["v", "w"],
            "shipping": {"country": "DE", "price": "1 EUR"},
        }),
        (6, {"id": "2", "title": "B & C", "description": "<p>warm</p>", "empty": ""}),
    ]  # fmt: skip


def test_atom(tmp_path: Path) -> None:
    feed = f"""<feed xmlns="http://www.w3.org/2005/Atom" {GOOGLE}><title>Shop</title>
    <entry><g:id>1</g:id><title>A</title><link href="https://shop.test/1"/></entry></feed>"""
    assert [row for _, row in rows(tmp_path, feed)] == [{"id": "1", "title": "A", "link": "https://shop.test/1"}]


@pytest.mark.parametrize(
    "feed",
    [
        '<catalog><products><thing id="5"><name>A</name><price currency="EUR">5</price></thing>'
        '<thing id="6"><name>B</name><size>S</size><size>M</size></thing></products></catalog>',
        '<SHOP><SHOPITEM id="5"><name>A</name><price currency="EUR">5</price></SHOPITEM>'
        '<SHOPITEM id="6"><name>B</name><size>S</size><size>M</size></SHOPITEM></SHOP>',
    ],
)
def test_any_repeated_element(tmp_path: Path, feed: str) -> None:
    assert [row for _, row in rows(tmp_path, feed)] == [
        {"id": "5", "name": "A", "price": "5", "price_currency": "EUR"},
        {"id": "6", "name": "B", "size": ["S", "M"]},
    ]


def test_other_encodings(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="{}"?><shop><item><id>1</id><title>Nabíječka</title></item></shop>'
    for encoding in ("utf-8", "windows-1250", "utf-16"):
        assert rows(tmp_path, text.format(encoding).encode(encoding))[0][1]["title"] == "Nabíječka"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE r [<!ENTITY a "b">]><rss><channel><item><id>&a;</id></item></channel></rss>', "entities"),
        ('<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss><item><id>&a;</id></item></rss>', "entities"),
        ('<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]><rss><item/></rss>', "entities"),
        ("\n<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        ("<html><p>no</html>", "HTML page"),
        ("plain text", "not XML"),
        (RSS[:-40], "not XML beyond line 6"),
        ("<a/>", "no element for a product"),
        ("<a>" * (DEEPEST + 5), "nested too deeply"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CatalogueError, match=said):
        rows(tmp_path, text)


def test_parts_are_json_lines(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(RSS)
    source = XmlSource(tmp_path / "feed.xml")
    assert [(key, json.loads(line)["id"]) for _, key, line in source.stored("id")] == [("1", "1"), ("2", "2")]
