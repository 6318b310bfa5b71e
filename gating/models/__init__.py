"""Models that are trained: the stylized gate and the Transformer."""
