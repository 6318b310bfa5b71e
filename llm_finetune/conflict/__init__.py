"""What a model does when what it knows and what it is told disagree: a study without training, and gates."""
