"""What trained models will do, told from data and training settings before any Transformer is trained."""
