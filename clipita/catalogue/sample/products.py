"""One product of the sample shop after the other; product i of a seed is the same whatever the shop's size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

from clipita.catalogue.product import ImageSource, Product
from clipita.catalogue.sample.palette import COLOURS
from clipita.catalogue.sample.patterns import PATTERNS
from clipita.catalogue.sample.render import Look, render_jpeg
from clipita.catalogue.sample.tree import LEAVES, Leaf
from clipita.catalogue.sample.words import ADJECTIVES, ATTRIBUTES, BRANDS, COMPANIONS, EXTRAS, MODELS, TYPICAL

_CHUNK = 64
_PLAIN_SHARE = 0.5
_NAMED_SHARE, _SYNONYM_SHARE = 0.45, 0.25
_COMPANION_SHARE = 0.12


def draw_products(count: int, seed: int) -> Iterator[Product]:
    """Products 0 to count - 1 of a seed, in order, drawn as they are asked for.

    Every picture is a JPEG of 160 x 160 pixels. `extra` holds `brand`, `price`, `popularity` (0 to 1) and `stock`.
    """
    numbers = iter(range(count))
    with ThreadPoolExecutor(2) as pool:
        while chunk := list(itertools.islice(numbers, _CHUNK)):
            yield from pool.map(lambda number: draw_product(number, seed), chunk)


def draw_product(number: int, seed: int) -> Product:
    """Product `number` of a seed."""
    random = Random(f"{seed}:{number}")
    leaf = random.choice(LEAVES)
    colour = random.choice(list(COLOURS))
    pattern = "Plain" if random.random() < _PLAIN_SHARE else random.choice(list(PATTERNS))
    brand = random.choice(BRANDS[leaf.path[0]] if random.random() < 0.85 else BRANDS[random.choice(list(BRANDS))])
    picture = render_jpeg(leaf.drawing, Look(COLOURS[colour], pattern), random)
    return Product(
        id=f"p{number:07d}",
        title=_title(leaf, brand, colour, random),
        attributes=_attributes(leaf, colour, pattern, random),
        category_paths=(leaf.path,),
        images=(ImageSource(data=picture, location=f"p{number:07d}.jpg"),),
        extra={
            "brand": brand,
            "price": _price(leaf.price, random),
            "popularity": round(random.betavariate(1.2, 4.0), 3),
            "stock": 0 if random.random() < 0.06 else random.randint(1, 240),
        },
    )


def _title(leaf: Leaf, brand: str, colour: str, random: Random) -> str:
    """A seller's title: under half of them name the category, some say it in other words, some name another one."""
    words = [brand] if random.random() < 0.7 else []
    words += random.sample(ADJECTIVES, random.choice([0, 1, 1, 2]))
    words += [random.choice(MODELS)] if random.random() < 0.7 or not words else []
    draw = random.random()
    if draw < _NAMED_SHARE:
        words.append(leaf.singular)
    elif draw < _NAMED_SHARE + _SYNONYM_SHARE:
        words.append(random.choice(leaf.synonyms))
    if random.random() < 0.35:
        words.append(random.choice([f"in {colour}", f"- {colour}", colour]))
    if random.random() < 0.3:
        words.append(random.choice(EXTRAS).format(number=random.randint(100, 9999)))
    if random.random() < _COMPANION_SHARE:
        other = random.choice(LEAVES)
        words.append(f"- {random.choice(COMPANIONS).format(other=other.path[-1])}")
    title = " ".join(words)
    case = random.random()
    return title.upper() if case < 0.06 else title.lower() if case < 0.14 else title


def _attributes(leaf: Leaf, colour: str, pattern: str, random: Random) -> dict[str, str]:
    """3 to 8 of them; colour and pattern are what the picture shows."""
    attributes = {"Colour": colour, "Pattern": pattern}
    typical = TYPICAL.get(leaf.path[1], {})
    known = ATTRIBUTES[leaf.path[0]]
    for name in random.sample(list(known), random.randint(1, min(6, len(known)))):
        usual = typical.get(name, known[name])
        attributes[name] = random.choice(usual if random.random() < 0.8 else known[name])
    return attributes


def _price(usual: float, random: Random) -> float:
    price = usual * random.lognormvariate(0.0, 0.35)
    return round(price) - 0.01 if price < 100 else float(round(price / 5) * 5)
