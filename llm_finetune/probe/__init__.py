"""What a fine-tune of anyone gained from weights and lost in context: a study without training, and a callback."""
