"""The class mixture on images of characters: Transformers, stylized models, and what they do with images never seen."""
