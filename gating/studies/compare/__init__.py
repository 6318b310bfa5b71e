"""Theory, stylized models and Transformers side by side on the class mixture."""
