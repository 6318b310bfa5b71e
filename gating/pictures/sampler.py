"""Sequences of the class mixture whose inputs are images: one of several exemplars of each class, with noise."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.sequences import Sequences
from theory.distribution import ClassMixture
from theory.fields import shown
from theory.validation import require_integer

__all__ = ["ImageMixtureSampler"]


class ImageMixtureSampler(ClassMixtureSampler):
    """The class mixture of :class:`gating.tasks.class_mixture.ClassMixtureSampler`, with exemplars in place of centres.

    Each token of class c is one of the T exemplars of c, drawn uniformly, plus Gaussian noise of `input_noise` in every
    coordinate. Labels, contexts and training rows are those that the class mixture draws with the same seeds.

    Args:
        exemplars: inputs of all classes, floating, shape (K, T, d): features of images, or their pixels.
        distributions, n_sequences, data_seeds, cover_classes, device, dtype: as of `ClassMixtureSampler`; K and d are
            the `n_classes` and `dim` of each distribution.
        others: exemplars that are not trained on, which `fresh` draws by name, shape (K', T', d): such as those of
            held-out typefaces, or of new classes that stand for the known ones, in turns where K' < K.
        rivals: in a relevant context, tokens that are all of one other class; the others are drawn one by one.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> spec = ClassMixture(n_high=2, n_low=3, dim=4, input_noise=0.0)
        >>> exemplars = torch.arange(5 * 2 * 4.0).view(5, 2, 4)
        >>> sampler = ImageMixtureSampler(exemplars, [spec], n_sequences=100, data_seeds=[0])
        >>> rows = sampler.training_rows(torch.tensor([[7]]))
        >>> bool((rows.x[0, 0, -1] == exemplars[rows.query_class[0, 0]]).all(-1).any())
        True

    Source: Chan et al. (2025), the Omniglot experiment; one exemplar a class, T = 1, is their ``single``. Rivals:
    S. Chan et al. (2022), whose bursty sequences of 8 pairs show two classes three times each.
    """

    def __init__(
        self,
        exemplars: Tensor,
        distributions: Sequence[ClassMixture],
        n_sequences: int | Sequence[int],
        data_seeds: Sequence[int],
        *,
        others: Mapping[str, Tensor] | None = None,
        rivals: int = 0,
        **how: Any,
    ):
        self._given, self.rivals = _require("exemplars", exemplars), require_integer("rivals", rivals)
        super().__init__(distributions, n_sequences, data_seeds, **how)
        if len(exemplars) != self.n_classes:
            raise ValueError(f"`exemplars` must be of {self.n_classes} classes; got {len(exemplars)}")
        banks = {None: exemplars} | {name: _require(f"others[{name!r}]", held) for name, held in (others or {}).items()}
        for held in banks.values():
            if held.shape[2] != self.dim:
                raise ValueError(f"exemplars must have the dimension of the mixture, {self.dim}; got {held.shape[2]}")
        self._banks = {name: held.to(self.device, self.dtype) for name, held in banks.items()}
        self._bank = self._banks[None]

    def _draw_centres(self, seeds: list[int]) -> Tensor:
        """Means of the exemplars of each class, shape (R, K, d)."""
        return self._given.mean(1).to(self.device, self.dtype).expand(len(seeds), -1, -1)

    def _context(self, query: Tensor, relevant: Tensor, u: Tensor, places: Tensor, others: Tensor) -> Tensor:
        context = super()._context(query, relevant, u, places, others)
        if not self.rivals:
            return context
        is_copy = context == query.unsqueeze(-1)
        order = (places + 2.0 * is_copy).argsort(-1)  # of the tokens of other classes, then the copies
        first = context.gather(-1, order[..., :1])
        rank = order.argsort(-1)
        is_rival = (rank < self.rivals) & ~is_copy & relevant.unsqueeze(-1)
        return torch.where(is_rival, first, context)

    def fresh(self, seed: int, query_class: Tensor, relevant: Tensor, *, exemplars: str | None = None) -> Sequences:
        """Sequences that are no training rows.

        Args:
            seed: evaluation seed, an integer.
            query_class: integers in 0 .. K - 1, shape (B,).
            relevant: whether each context is relevant, booleans, shape (B,).
            exemplars: name of those that all tokens show, of `others`; None for those of training.

        Raises:
            ValueError: as of `ClassMixtureSampler.fresh`, or no exemplars have this name.
        """
        if exemplars not in self._banks:
            names = [name for name in self._banks if name]
            raise ValueError(f"`exemplars` must be one of {names} or None; got {shown(exemplars)}")
        other = copy.copy(self)  # this one may be drawing training rows in another thread
        other._bank = self._banks[exemplars]
        return super(ImageMixtureSampler, other).fresh(seed, query_class, relevant)

    def _sequences(self, keys: Tensor, classes: Tensor, y: Tensor) -> Sequences:
        """Each input is an exemplar of its class plus Gaussian noise, shape (R, B, L + 1, d)."""
        tokens, start = self.context_length + 1, 4 + 3 * self.context_length  # beyond what `_labels` draws
        n_shown, n_exemplars = self._bank.shape[:2]
        which = (counter.uniforms(keys, start, tokens) * n_exemplars).long().clamp_max_(n_exemplars - 1)
        noise = counter.normals(keys, start + tokens, tokens * self.dim).to(self.dtype)
        noise = noise.unflatten(-1, (tokens, self.dim))
        return Sequences(torch.addcmul(self._bank[classes % n_shown, which], noise, self._input_noise), y, classes)


def _require(name: str, held: Any) -> Tensor:
    if not isinstance(held, Tensor) or not held.is_floating_point() or held.dim() != 3 or not held.shape[:2].numel():
        raise ValueError(f"`{name}` must be a floating tensor of shape (K, T, d), K and T >= 1; got {shown(held)}")
    return held
