"""A drawn shop to try everything on: pictures whose shape tells the category, noisy titles, attributes, a tree.

Everything is drawn here from outlines and word lists; nothing is anybody's product.
"""
