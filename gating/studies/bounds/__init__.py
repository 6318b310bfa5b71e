"""Exact risks, bounds and crossovers over the number of training sequences."""
