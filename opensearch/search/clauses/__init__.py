"""Query clauses that come from the shop."""
