"""Few-shot classification with labels that are right, flipped, random or made up: which does a model follow?"""
