"""Which strategy a Transformer follows through training, memorizing or generalizing, and the gate that predicts it."""
