"""Rows that are variants of one product: which ones are, as one product, and whether files share them."""
