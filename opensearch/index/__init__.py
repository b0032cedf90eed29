"""The index: mapping, alias and versions, lock, category vectors, and the ML Commons model."""
