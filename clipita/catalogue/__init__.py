"""The catalogue: products, their category tree, and the readers that bring them in."""

from clipita.catalogue.images.decode import load_image
from clipita.catalogue.product import Category, CategoryPath, CategoryTree, ImageSource, Product, Rejection
from clipita.catalogue.reader import CatalogueFile

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
