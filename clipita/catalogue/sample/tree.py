"""The sample shop's category tree: 5 roots, their groups, and 96 leaves, each with a drawing.

A leaf is written as `Name = other words for it @ price`: the words are what a seller may say in its stead, and the
price is a usual one.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipita.catalogue.product import CategoryPath
from clipita.catalogue.sample.drawing_accessories import ACCESSORIES
from clipita.catalogue.sample.drawing_clothing import CLOTHING
from clipita.catalogue.sample.drawing_footwear import FOOTWEAR
from clipita.catalogue.sample.drawing_home import DECOR, FURNITURE, KITCHEN
from clipita.catalogue.sample.drawing_play import ELECTRONICS, SPORTS, TOYS
from clipita.catalogue.sample.shapes import Drawing

_DRAWINGS: dict[str, Drawing] = {
    **CLOTHING, **FOOTWEAR, **ACCESSORIES, **KITCHEN, **FURNITURE, **DECOR, **ELECTRONICS, **TOYS, **SPORTS,
}  # fmt: skip

_TREE = """
Clothing
  Tops
    T-Shirts = Tee, Crew Neck, Jersey Top @ 19
    Shirts = Button-Down, Oxford, Button-Up @ 39
    Polo Shirts = Polo, Pique Top, Piqué @ 35
    Tank Tops = Vest, Singlet, Sleeveless Top @ 17
    Kurtas = Kurti, Ethnic Tunic, Long Tunic @ 42
    Sweaters = Pullover, Jumper, Knit @ 55
    Hoodies = Hooded Sweat, Sweatshirt, Zip Hood @ 49
  Outerwear
    Blazers = Suit Coat, Sport Coat, Tailored Layer @ 120
    Jackets = Bomber, Windbreaker, Anorak @ 95
    Coats = Overcoat, Trench, Parka @ 160
  Bottoms
    Jeans = Denim, Five-Pocket, Slim Denim @ 69
    Track Pants = Joggers, Sweatpants, Training Bottoms @ 45
    Shorts = Bermudas, Trunks, Chino Half @ 32
    Skirts = A-Line, Midi, Pencil @ 44
  Dresses and Basics
    Dresses = Gown, Frock, Sundress @ 79
    Swimsuits = Bikini, One-Piece, Swimwear @ 48
    Socks = Crew Pair, Ankle Pair, Hosiery @ 9
Footwear
  Closed Shoes
    Running Shoes = Trainers, Sneakers, Runners @ 89
    Dress Shoes = Derby, Brogue, Lace-Up Formal @ 110
    Loafers = Moccasin, Slip-On, Penny @ 95
    Ballet Flats = Ballerinas, Pumps, Flat Slip-On @ 59
    High Heels = Stilettos, Court Pair, Pumps @ 99
  Boots
    Ankle Boots = Chelsea, Desert, Chukka @ 129
    Rain Boots = Wellingtons, Gumboots, Wellies @ 49
  Open Shoes
    Sandals = Strappy Pair, Summer Slides, Fisherman @ 55
    Flip Flops = Thongs, Beach Slides, Pool Slides @ 15
    Slippers = House Mules, Scuffs, Cosy Mules @ 25
Bags and Accessories
  Bags
    Backpacks = Rucksack, Daypack, School Pack @ 65
    Tote Bags = Shopper, Carryall, Market Carrier @ 39
    Handbags = Purse, Satchel, Top-Handle @ 99
    Suitcases = Trolley, Cabin Luggage, Spinner @ 139
    Duffel Bags = Weekender, Holdall, Gym Carrier @ 75
    Wallets = Billfold, Card Holder, Bifold @ 35
  Headwear
    Caps = Snapback, Baseball Visor, Trucker @ 22
    Sun Hats = Fedora, Panama, Wide Brim @ 29
    Beanies = Knit Topper, Bobble, Watch Knit @ 19
  Scarves and More
    Scarves = Shawl, Wrap, Muffler @ 29
    Gloves = Mittens, Hand Warmers, Driving Pair @ 27
    Ties = Cravat, Neckwear, Silk Knot @ 33
    Belts = Waist Strap, Buckle Strap, Girdle @ 36
    Umbrellas = Parasol, Brolly, Rain Canopy @ 24
  Jewellery
    Necklaces = Pendant, Choker, Chain @ 69
    Earrings = Studs, Hoops, Drops @ 45
    Rings = Band, Signet, Solitaire @ 149
  Watches and Eyewear
    Watches = Chronograph, Timepiece, Wrist Dial @ 179
    Sunglasses = Shades, Aviators, Wayfarers @ 79
Home
  Kitchen
    Mugs = Coffee Cup, Tea Cup, Beaker @ 12
    Teapots = Brewer, Tea Infuser, Tea Jug @ 34
    Kettles = Water Boiler, Whistler, Fast Boiler @ 45
    Frying Pans = Skillet, Sauté, Omelette Pan @ 38
    Saucepans = Pot, Casserole, Milk Pan @ 42
    Bowls = Dish, Salad Server, Cereal Dish @ 18
    Wine Glasses = Goblet, Stemware, Crystal Flute @ 28
    Water Bottles = Flask, Thermos, Hydration Bottle @ 23
    Kitchen Knives = Chef Blade, Santoku, Carving Blade @ 52
    Toasters = Two-Slice, Bread Browner, Crumpet Maker @ 49
  Furniture
    Chairs = Dining Seat, Side Seat, Spindle Seat @ 120
    Stools = Bar Seat, Counter Perch, Milking Seat @ 69
    Sofas = Couch, Settee, Loveseat @ 690
    Armchairs = Recliner, Lounge Seat, Wingback @ 340
    Tables = Desk, Dining Top, Console @ 280
    Bookcases = Shelf Unit, Shelving, Book Rack @ 160
    Beds = Bedstead, Sleigh Frame, Divan @ 520
  Lighting
    Table Lamps = Bedside Light, Desk Light, Reading Light @ 59
    Floor Lamps = Standing Light, Tripod Light, Uplighter @ 119
    Pendant Lamps = Ceiling Light, Hanging Shade, Dome Light @ 89
    Candles = Wax Light, Scented Wax, Taper @ 16
  Decoration
    Vases = Bud Holder, Flower Jar, Urn @ 31
    Wall Clocks = Timekeeper, Round Dial, Station Dial @ 39
    Cushions = Throw Pillow, Bolster, Pillow Cover @ 21
    Plant Pots = Planter, Cachepot, Herb Tub @ 19
    Picture Frames = Photo Mount, Gallery Mount, Photo Surround @ 25
    Mirrors = Looking Glass, Vanity Glass, Wall Glass @ 85
Electronics and Leisure
  Audio
    Headphones = Over-Ear, Headset, Studio Cans @ 129
    Earbuds = In-Ears, TWS, Neckband @ 79
    Bluetooth Speakers = Soundbox, Party Sound, Boombox @ 89
  Phones and Cameras
    Smartphones = Mobile, 5G Handset, Cell Phone @ 549
    Tablets = Pad, Slate, E-Reader @ 399
    Cameras = Mirrorless, DSLR, Compact Shooter @ 649
  Computers and Gaming
    Laptops = Notebook, Ultrabook, Convertible @ 999
    Monitors = Display, IPS Screen, Curved Screen @ 289
    Keyboards = Mechanical Keys, Keypad, Typing Board @ 69
    Computer Mice = Pointer, Trackpad Rival, Wireless Clicker @ 35
    Game Controllers = Gamepad, Joypad, Console Pad @ 59
  Toys
    Teddy Bears = Plush, Stuffed Animal, Cuddly Friend @ 24
    Toy Cars = Die-Cast, Model Vehicle, Push-Along @ 14
    Building Blocks = Brick Set, Stacking Set, Construction Kit @ 34
    Rubber Ducks = Bath Toy, Floating Duckling, Quackers @ 8
    Kites = Stunt Flyer, Wind Flyer, Sky Dancer @ 26
    Puzzles = Jigsaw, 500 Pieces, Brain Teaser @ 17
  Sports
    Footballs = Soccer Ball, Match Ball, Training Ball @ 29
    Basketballs = Hoop Ball, Street Ball, Court Ball @ 32
    Skateboards = Longboard, Cruiser, Street Deck @ 75
    Dumbbells = Hand Weights, Free Weights, Iron Pair @ 45
    Tennis Rackets = Graphite Frame, Court Racquet, Baseline Pro @ 99
    Bicycles = City Bike, Roadster, Commuter Bike @ 590
"""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A category that products are assigned to.

    Attributes:
        path: root, group, leaf.
        synonyms: what sellers say instead of the category's name.
        price: a usual one.
        drawing: what its products look like.
    """

    path: CategoryPath
    synonyms: tuple[str, ...]
    price: float
    drawing: Drawing

    @property
    def singular(self) -> str:
        """One of them, as a title has it: `Running Shoes` stay two, a `Mug` is one."""
        name = self.path[-1]
        if name in _PLURAL_ONLY or self.path[0] == "Footwear":
            return name
        return _SINGULARS.get(name, name.removesuffix("s"))


_PLURAL_ONLY = {
    "Jeans", "Track Pants", "Shorts", "Socks", "Gloves", "Earrings", "Sunglasses", "Headphones", "Earbuds", "Dumbbells",
    "Building Blocks", "Wine Glasses",
}  # fmt: skip
_SINGULARS = {
    "Scarves": "Scarf", "Watches": "Watch", "Dresses": "Dress", "Kitchen Knives": "Kitchen Knife",
    "Computer Mice": "Computer Mouse",
}  # fmt: skip


def _parse(text: str) -> tuple[Leaf, ...]:
    leaves = []
    root = group = ""
    for line in text.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        if depth == 0:
            root = line
        elif depth == 1:
            group = line.strip()
        else:
            name, rest = line.strip().split(" = ")
            synonyms, price = rest.split(" @ ")
            drawing = _DRAWINGS[name.lower().replace(" ", "-")]
            leaves.append(Leaf((root, group, name), tuple(synonyms.split(", ")), float(price), drawing))
    return tuple(leaves)


LEAVES = _parse(_TREE)
