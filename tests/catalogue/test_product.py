"""Products in several categories, and the tree of them."""

from __future__ import annotations

from clipita.catalogue import CategoryTree, Product

HOODIE = Product("1", "Hoodie", category_paths=(("Shop", "Men", "Hoodies"), ("Shop", "Eco")))
TEE = Product("2", "Tee", category_paths=(("Shop", "Men", "Tees"),))


def test_a_product_counts_once_in_what_its_paths_share() -> None:
    tree = CategoryTree.of_products(product.category_paths for product in (HOODIE, TEE, Product("3", "Cap")))
    assert tree.products_by_node == {
        ("Shop",): 2,
        ("Shop", "Men"): 2,
        ("Shop", "Men", "Hoodies"): 1,
        ("Shop", "Eco"): 1,
        ("Shop", "Men", "Tees"): 1,
    }
    assert [category.path for category in tree.categories] == sorted(tree.products_by_node)


def test_the_main_path_is_the_first() -> None:
    assert HOODIE.category_path == ("Shop", "Men", "Hoodies")
    assert Product("3", "Cap").category_path == ()


def test_one_path_is_a_list_of_names_in_a_document_and_several_are_lists() -> None:
    assert TEE.category_cell == ["Shop", "Men", "Tees"]
    assert HOODIE.category_cell == [["Shop", "Men", "Hoodies"], ["Shop", "Eco"]]
    assert Product("3", "Cap").category_cell == []
