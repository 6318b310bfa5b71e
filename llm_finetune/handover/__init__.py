"""When weights take an answer over from the context, predicted and measured in three kinds of models."""
