"""Models that are trained, the stylized gate and the Transformer, and a Transformer that is written down."""
