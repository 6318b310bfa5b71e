"""Certified phases over any two fields of the data, or a field and N."""
