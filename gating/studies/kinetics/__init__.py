"""Learning from weights and from context over training steps, by theory alone."""
