"""Query understanding: words of a query that are values of the shop's own fields, and numbers that are ranges."""
