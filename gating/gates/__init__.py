"""Gates: the weight alpha in [0, 1] of the in-weight predictor."""
