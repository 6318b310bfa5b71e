"""Random outputs of models, as log-probabilities."""

import torch

N, C = 40, 6


def log_simplex(rng: torch.Generator, *shape: int, spread: float = 2.0) -> torch.Tensor:
    return (spread * torch.randn(*shape, generator=rng, dtype=torch.float64)).log_softmax(-1)
