"""The gating question put to pretrained language models."""
