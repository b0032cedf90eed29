"""The catalogue: products, their category tree, and the readers that bring them in."""

from clipita.catalogue.images import load_image
from clipita.catalogue.product import Category, CategoryPath, CategoryTree, ImageSource, Product
from clipita.catalogue.readers import CatalogueFile
from clipita.catalogue.rejection import Rejection

__all__ = [
    "CatalogueFile",
    "Category",
    "CategoryPath",
    "CategoryTree",
    "ImageSource",
    "Product",
    "Rejection",
    "load_image",
]
