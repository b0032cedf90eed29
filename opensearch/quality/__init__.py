"""The live index measured and tuned: recall, category queries, weights, and where pages end."""
