"""What is relevant to products of several category paths."""

from __future__ import annotations

from clipita.training.features import name_matrix, path_classes
from clipita.training.trainer import draw_weights

PRODUCTS = [(("Shop", "Men"), ("Shop", "Eco")), (("Shop", "Men"),), (("Shop", "Women"),)]


def test_the_names_of_all_paths_are_positive() -> None:
    matrix = name_matrix(["Eco", "Men", "Shop"], PRODUCTS)
    assert matrix.tolist() == [[True, True, True], [False, True, True], [False, False, True]]


def test_a_product_is_drawn_by_its_main_category() -> None:
    assert path_classes(PRODUCTS).tolist() == [0, 0, 1]
    assert draw_weights(PRODUCTS, 1.0).tolist() == [0.25, 0.25, 0.5]
