"""The catalogue: products, their category tree, and the readers that bring them in."""

from clipita.catalogue.product import Category, CategoryPath, CategoryTree, ImageSource, Product

__all__ = ["Category", "CategoryPath", "CategoryTree", "ImageSource", "Product"]
