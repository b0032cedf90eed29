"""CLIP-ITA in PyTorch: towers, heads, losses and checkpoints. Needs the `train` extra."""
