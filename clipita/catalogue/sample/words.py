"""What sellers say about products: brands, adjectives, and the attributes of each part of the shop."""

from __future__ import annotations

BRANDS = {
    "Clothing": ("Northloom", "Velora", "Kestrel & Co", "Indigo Lane", "Marlowe", "Thread Society", "Amba"),
    "Footwear": ("Stridewell", "Cobblestone", "Velora", "Pacer", "Lunaro", "Northloom"),
    "Bags and Accessories": ("Marlowe", "Hideout", "Aurelia", "Tick & Tide", "Lunaro", "Indigo Lane"),
    "Home": ("Hearthside", "Oakline", "Nordhus", "Clay & Ember", "Lumenary", "Tidy Fox"),
    "Electronics and Leisure": ("Voltaic", "Pixelon", "Quietbox", "Bumblebrick", "Pacer", "Fieldhouse"),
}

ADJECTIVES = (
    "Classic", "Everyday", "Premium", "Essential", "Modern", "Vintage", "Light", "Compact", "Signature", "Urban", "Soft",
    "Bold", "Relaxed", "Pure", "Heritage", "Daily", "Active", "Cosy", "Smart", "Original", "Limited", "Studio",
)  # fmt: skip
MODELS = (
    "Aster", "Birch", "Cove", "Delta", "Ember", "Fjord", "Grove", "Harbor", "Iris", "Juno", "Kite", "Lark", "Mesa", "Nova",
    "Onyx", "Pine", "Quill", "Ridge", "Sage", "Terra", "Umbra", "Vale", "Willow", "Zephyr", "One", "II", "Pro", "X3", "24",
)  # fmt: skip
EXTRAS = (
    "New Season", "Gift Idea", "Best Seller", "2 Year Warranty", "Limited Offer", "Free Returns", "Online Exclusive", "Set",
    "Pack of 2", "Size M", "Size L", "Ref. {number}", "#{number}", "({number})",
)  # fmt: skip
COMPANIONS = (
    "goes with {other}",
    "matches your {other}",
    "for {other} lovers",
    "not for {other}",
    "ideal beside {other}",
)

_METALS, _CLOTHS = ("Steel", "Brass", "Aluminium"), ("Cotton", "Linen", "Wool", "Polyester", "Viscose")
_ANY_SEASON, _ANY_GENDER = (
    ("Summer", "Winter", "Spring", "Autumn", "All Year"),
    ("Women", "Men", "Unisex", "Girls", "Boys"),
)

ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "Clothing": {
        "Fabric": (*_CLOTHS, "Blend"), "Fit": ("Regular", "Slim", "Loose", "Oversized"), "Gender": _ANY_GENDER,
        "Season": _ANY_SEASON, "Occasion": ("Casual", "Work", "Party", "Sport"), "Care": ("Machine Wash", "Hand Wash"),
    },
    "Footwear": {
        "Upper": ("Leather", "Suede", "Mesh", "Canvas", "Synthetic"), "Gender": _ANY_GENDER, "Season": _ANY_SEASON,
        "Closure": ("Lace-Up", "Slip-On", "Buckle", "Zip"), "Width": ("Regular", "Wide"), "Sole": ("Rubber", "EVA", "Leather"),
    },
    "Bags and Accessories": {
        "Material": ("Leather", "Canvas", "Nylon", *_METALS, *_CLOTHS), "Gender": _ANY_GENDER,
        "Occasion": ("Casual", "Work", "Travel", "Party"), "Gift Box": ("Yes", "No"), "Season": _ANY_SEASON,
    },
    "Home": {
        "Material": ("Ceramic", "Glass", "Oak", "Walnut", "Bamboo", *_METALS, *_CLOTHS),
        "Style": ("Scandinavian", "Industrial", "Rustic", "Modern", "Boho"), "Care": ("Dishwasher Safe", "Wipe Clean"),
        "Room": ("Living Room", "Kitchen", "Bedroom", "Hallway", "Office"), "Assembly": ("None", "10 Minutes", "Two People"),
    },
    "Electronics and Leisure": {
        "Material": ("Plastic", "Aluminium", "Wood", "Rubber", "Fabric"), "Warranty": ("1 Year", "2 Years", "5 Years"),
        "Power": ("USB-C", "Battery", "None", "Mains"), "Age": ("3+", "6+", "12+", "Adult"),
        "Use": ("Indoor", "Outdoor", "Travel", "Office"), "Made In": ("Germany", "Taiwan", "Portugal", "India"),
    },
}  # fmt: skip

TYPICAL: dict[str, dict[str, tuple[str, ...]]] = {
    "Outerwear": {"Season": ("Winter", "Autumn"), "Fabric": ("Wool", "Polyester")},
    "Bottoms": {"Fabric": ("Cotton", "Denim", "Blend")},
    "Boots": {"Season": ("Winter", "Autumn"), "Closure": ("Zip", "Lace-Up")},
    "Open Shoes": {"Season": ("Summer", "All Year"), "Closure": ("Slip-On", "Buckle")},
    "Bags": {"Material": ("Leather", "Canvas", "Nylon"), "Occasion": ("Travel", "Work")},
    "Headwear": {"Material": _CLOTHS}, "Scarves and More": {"Material": (*_CLOTHS, "Leather")},
    "Jewellery": {"Material": ("Gold", "Silver", "Brass"), "Occasion": ("Party",), "Gift Box": ("Yes",)},
    "Watches and Eyewear": {"Material": ("Steel", "Acetate", "Leather")},
    "Kitchen": {"Room": ("Kitchen",), "Care": ("Dishwasher Safe",), "Material": ("Ceramic", "Steel", "Glass", "Bamboo")},
    "Furniture": {"Material": ("Oak", "Walnut", "Steel", "Bamboo"), "Assembly": ("10 Minutes", "Two People")},
    "Lighting": {"Material": ("Brass", "Linen", "Glass", "Steel"), "Room": ("Living Room", "Bedroom", "Hallway")},
    "Audio": {"Power": ("Battery", "USB-C"), "Material": ("Plastic", "Aluminium")},
    "Phones and Cameras": {"Power": ("USB-C", "Battery"), "Material": ("Aluminium", "Plastic")},
    "Computers and Gaming": {"Power": ("USB-C", "Mains"), "Use": ("Office", "Indoor")},
    "Toys": {"Age": ("3+", "6+"), "Power": ("None",), "Material": ("Plastic", "Wood", "Rubber", "Fabric")},
    "Sports": {"Use": ("Outdoor",), "Power": ("None",), "Material": ("Rubber", "Aluminium", "Wood")},
}  # fmt: skip
"""What a group's products mostly have; they say other things too."""
