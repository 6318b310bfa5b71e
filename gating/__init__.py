"""Models that answer from weights or from context, and what is measured on them."""
