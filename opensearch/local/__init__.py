"""A local OpenSearch node with k-NN, without Docker, root or an installed Java."""
