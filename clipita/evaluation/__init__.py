"""Measuring retrieval quality as the paper does: category queries, P@k, mAP@k and R-precision."""
