"""XML feeds as rows: Google Merchant's RSS and Atom, and any file whose root has one element per product."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from clipita.catalogue.formats.objects import ObjectSource
from clipita.catalogue.formats.rows import MAX_LINE, NumberedRow, html_page, is_html, unpacked
from clipita.errors import CatalogueError, ProductError

NAMES = ("item", "entry", "product", "offer", "shopitem")
"""Elements that are products, in lower case: RSS, Atom, and common feeds; else the most frequent child."""
DEEPEST = 64
"""Elements inside each other."""
_GOOGLE = "http://base.google.com/ns/1.0"
_CHUNK = 2**16
Place = tuple[str, ...]
"""Names of elements, from the root to a product."""


@dataclass
class _Element:
    """An element that is being read."""

    name: str
    google: bool
    cells: dict[str, Any] = field(default_factory=dict)
    of_google: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    size: int = 0


class XmlSource(ObjectSource):
    """Rows of an XML feed, each with the line on which its element begins.

    An element's name without its namespace is a column; of two, Google's wins. Repeated elements are a list, elements
    with children an object. The declaration of an entity is refused, and nothing outside the file is read.

    Raises:
        CatalogueError: no XML, an HTML page, an entity, or no repeated element.
    """

    @property
    def rows(self) -> int:
        """Elements that are products."""
        return self._place[1]

    def records(self, leave_out: Collection[str] = ()) -> Iterator[NumberedRow]:  # noqa: ARG002 - no raw bytes in XML
        """All products in order.

        Raises:
            CatalogueError: the file breaks off or is damaged; it says where.
        """
        reader = _Reader(self._file, self._place[0])
        for _ in self._parsed(reader.parser):
            yield from reader.taken()

    @functools.cached_property
    def _place(self) -> tuple[Place, int]:
        """Where the products are, and how many."""
        counts: Counter[Place] = Counter()
        path: list[str] = []
        parser = _parser(self._file)

        def start(name: str, _: Any) -> None:
            path.append(_local(name))
            _check_depth(path, parser)
            if 2 <= len(path) <= 4:
                counts[tuple(path)] += 1

        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: path.pop()
        for _ in self._parsed(parser):
            pass
        if not counts:
            raise CatalogueError(f"{self._file} has no element for a product.", hint="Give a feed with products.")
        known = [place for place in counts if place[-1].lower() in NAMES]
        several = [place for place in counts if counts[place] > 1]
        # Elements inside a product are as frequent as it, or more.
        place = min(known or several or counts, key=lambda place: (len(place), -counts[place]))
        return place, counts[place]

    def _parsed(self, parser: Any) -> Iterator[None]:
        """Parse the file, a piece at a time."""
        try:
            with unpacked(self._file) as stream:
                first = True
                while chunk := stream.read(_CHUNK):
                    if first and is_html(chunk):
                        raise html_page(self._file)
                    first = False
                    parser.Parse(chunk, False)
                    yield
                parser.Parse(b"", True)
                yield
        except (expat.ExpatError, EOFError, OSError, zlib.error) as error:
            raise CatalogueError(
                f"{self._file} is not XML beyond line {parser.CurrentLineNumber}: {error}.",
                hint="The file is damaged or was not copied to its end; copy it again.",
            ) from error


class _Reader:
    """Collects the products while a parser runs."""

    def __init__(self, file: Path, place: Place) -> None:
        self._place = place
        self._path: list[str] = []
        self._open: list[_Element] = []
        self._line = 0
        self._done: list[NumberedRow] = []
        self.parser = _parser(file)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[NumberedRow]:
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(_local(name))
        _check_depth(self._path, self.parser)
        if self._open or tuple(self._path) == self._place:
            self._line = self._line if self._open else self.parser.CurrentLineNumber
            cells = {_local(key): value for key, value in attributes.items()}
            self._open.append(_Element(self._path[-1], name.startswith(_GOOGLE), cells))

    def _text(self, text: str) -> None:
        if self._open:
            element = self._open[-1]
            self._open[0].size += len(text)
            if self._open[0].size <= MAX_LINE:
                element.texts.append(text)

    def _end(self, _: str) -> None:
        self._path.pop()
        if not self._open:
            return
        element = self._open.pop()
        if self._open:
            _put(self._open[-1], element)
        elif element.size > MAX_LINE:
            self._done.append((self._line, ProductError(f"the product is too long: over {MAX_LINE // 2**20} MB")))
        else:
            self._done.append((self._line, element.cells))


def _put(parent: _Element, element: _Element) -> None:
    """Add an element to the one around it; Google's names take the place of others, and repeated ones are a list."""
    name, cells = element.name, parent.cells
    text = "".join(element.texts).strip()
    # Atom's <link href="..."/> has neither text nor children.
    value = text or element.cells.get("href") or element.cells or ""
    if text:
        cells.update({f"{name}_{key}": inner for key, inner in element.cells.items() if isinstance(inner, str)})
    if name in parent.of_google and not element.google:
        return
    if name not in cells or (element.google and name not in parent.of_google):
        cells[name] = value
    else:
        present = cells[name]
        cells[name] = [*present, value] if isinstance(present, list) else [present, value]
    if element.google:
        parent.of_google.add(name)


def _check_depth(path: list[str], parser: Any) -> None:
    if len(path) > DEEPEST:
        raise CatalogueError(f"The elements of line {parser.CurrentLineNumber} are nested too deeply.")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _parser(file: Path) -> Any:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: Any) -> Any:
        raise CatalogueError(
            f"{file} declares entities, which can make a feed endless or read other files.", hint="Export it without."
        )

    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    return parser
