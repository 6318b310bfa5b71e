"""Sampler of the class mixture: finite training sets as pure functions of (seed, index), and fresh sequences.

Several mixtures of one shape are sampled at once, one per replica of an ensemble; a replica's sequences do not depend
on which others ride along.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gating.tasks import counter
from gating.tasks.sequences import Sequences
from gating.tasks.task_sampler import batch_places, evaluation_keys, require_seeds
from gating.validation import holds_numbers, require_device, require_dtype
from theory.distribution import ClassMixture
from theory.fields import shown
from theory.validation import LARGEST_TABLE, is_integer, require_instances, require_integers

__all__ = ["MAX_SEQUENCES", "ClassMixtureSampler"]

MAX_SEQUENCES = 2**40

_CLASS, _RELEVANT, _N_RELEVANT, _CONTEXT = range(4)


class ClassMixtureSampler:
    r"""Draws sequences of R replicas, each with its own mixture, training-set size and data seed.

    Row i of replica r's training set is a hash of (data seed, i): nothing is stored, so N may be up to 2^40 and every
    process sees the same set. Contexts follow their exact conditional law without rejection: the number of relevant
    tokens from its truncated binomial, their places as a uniform subset, the others from q without the query class.

    Args:
        distributions: one ClassMixture per replica; `n_classes`, `context_length` and `dim` must agree.
        n_sequences: size N of each replica's training set, or of all, in 1 .. 2^40 (at least K when `cover_classes`).
        data_seeds: one integer per replica; sets the class centres and the training rows.
        cover_classes: give every class a training query: rows 0 .. K-1 have query classes 0 .. K-1, so that class c
            has 1 + Bin(N - K, q_c) queries.
        device: where tensors live.
        dtype: floating type of the inputs (their values are drawn in float32).

    Attributes:
        n_replicas: R, the number of mixtures sampled at once.

    Raises:
        ValueError: naming the argument, the allowed set and the value.

    Example:
        >>> sampler = ClassMixtureSampler([ClassMixture(dim=4)], n_sequences=[2**40], data_seeds=[1])
        >>> rows = sampler.training_rows(torch.tensor([[5, 2**39]]))
        >>> rows.x.shape, rows.y.shape
        (torch.Size([1, 2, 2, 4]), torch.Size([1, 2, 2]))

    Source: Chan et al. (2025), synthetic data.
    """

    def __init__(
        self,
        distributions: Sequence[ClassMixture],
        n_sequences: int | Sequence[int],
        data_seeds: Sequence[int],
        *,
        cover_classes: bool = True,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        require_instances(cover_classes=(cover_classes, bool))
        self.distributions = _of_one_shape(distributions)
        self.n_replicas = len(self.distributions)
        spec = self.distributions[0]
        self.n_classes, self.context_length, self.dim = spec.n_classes, spec.context_length, spec.dim
        self.cover_classes = cover_classes
        least = self.n_classes if cover_classes else 1
        sizes = [n_sequences] * self.n_replicas if is_integer(n_sequences) else n_sequences
        self.n_sequences = require_integers("n_sequences", sizes, least=least, most=MAX_SEQUENCES)
        seeds = require_seeds(data_seeds, distributions=self.distributions, n_sequences=self.n_sequences)
        self.device, self.dtype = require_device(device), require_dtype(dtype)
        self._training_keys, self._order_keys, self._evaluation_keys = (
            counter.seed_keys(seeds, stream).to(self.device) for stream in ("training", "order", "evaluation")
        )
        self.centres = self._draw_centres(seeds)
        self._tabulate()

    def _checked(self, index: Tensor) -> Tensor:
        """The same rows, where tensors live."""
        if not holds_numbers(index, integers=True) or index.dim() != 2 or len(index) != self.n_replicas:
            raise ValueError(f"`index` must be integers of shape ({self.n_replicas}, B); got {shown(index)}")
        index = index.to(self.device)
        outside = ((index < 0) | (index >= self._sizes)).nonzero()
        if len(outside):
            replica, place = outside[0].tolist()
            n, row = self.n_sequences[replica], index[replica, place].item()
            raise ValueError(f"`index` must be in 0 .. {n - 1} for replica {replica}; got {row}")
        return index

    def _draw_centres(self, seeds: list[int]) -> Tensor:
        """Uniform on the unit sphere, shape (R, K, d)."""
        classes = torch.arange(self.n_classes).expand(len(seeds), -1)
        keys = counter.row_keys(counter.seed_keys(seeds, "centres"), classes)
        centres = counter.normals(keys, 0, self.dim, torch.float64)
        centres /= centres.norm(dim=-1, keepdim=True)
        return centres.to(self.device, self.dtype)

    def _tabulate(self) -> None:
        def stack(values: list[Any], dtype: torch.dtype = torch.float64) -> Tensor:
            return torch.as_tensor(np.array(values), dtype=dtype, device=self.device)

        specs = self.distributions
        self._q = stack([s.frequencies for s in specs])
        self._cdf = self._q.cumsum(-1)
        self._cdf[:, -1] = 1.0
        self._n_relevant_cdf = stack([s.n_relevant_pmf for s in specs]).cumsum(-1)
        self._n_relevant_cdf[..., -1] = 1.0
        self._relevant_shares = stack([s.relevant_shares for s in specs])
        self._label_noise = stack([[[s.label_noise]] for s in specs])
        self._shift_noise = stack([[[s.label_noise_kind == "shift"]] for s in specs], torch.bool)
        self._input_noise = stack([[[[s.input_noise]]] for s in specs], self.dtype)
        self._sizes = stack([[n] for n in self.n_sequences])

    def training_rows(self, index: Tensor) -> Sequences:
        """Rows of the training sets.

        Args:
            index: which rows, integers in 0 .. N_r - 1, shape (R, B).

        Raises:
            ValueError: for a row that a training set does not have.
        """
        return self._rows(self._checked(index))

    def _rows(self, index: Tensor) -> Sequences:
        keys = counter.row_keys(self._training_keys, index)
        return self._sequences(keys, *self._labels(keys, self._training_queries(keys, index)))

    def batches(self, first_step: int, n_steps: int, batch_size: int) -> Sequences:
        """Training batches of several steps, rows drawn uniformly: shape (R, n_steps * batch_size, ...)."""
        return self._rows(self.batch_index(first_step, n_steps, batch_size))

    def training_labels(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Classes and labels, each (R, B, L + 1), of rows named as in `training_rows`, without their inputs."""
        index = self._checked(index)
        keys = counter.row_keys(self._training_keys, index)
        return self._labels(keys, self._training_queries(keys, index))

    def batch_index(self, first_step: int, n_steps: int, batch_size: int) -> Tensor:
        """Rows of the batches of `n_steps` steps, uniform over the N rows: shape (R, n_steps * batch_size)."""
        slots = batch_places(first_step, n_steps, batch_size, self.device)
        keys = counter.row_keys(self._order_keys, slots.expand(self.n_replicas, -1))
        return (counter.uniforms(keys, 0, 1)[..., 0] * self._sizes).long()

    def fresh(self, seed: int, query_class: Tensor, relevant: Tensor) -> Sequences:
        """Sequences that are no training rows, with given query classes and context kinds.

        Args:
            seed: evaluation seed, an integer; replicas of one data seed and distribution see the same sequences.
            query_class: integers in 0 .. K - 1, shape (B,).
            relevant: whether each context is relevant, booleans, shape (B,).

        Raises:
            ValueError: for a class that the mixture does not have, or shapes that differ.
        """
        if not holds_numbers(query_class, integers=True):
            raise ValueError(f"`query_class` must be a tensor of integers; got {shown(query_class)}")
        if not isinstance(relevant, Tensor) or relevant.dtype != torch.bool:
            raise ValueError(f"`relevant` must be a tensor of booleans; got {shown(relevant)}")
        outside = query_class[(query_class < 0) | (query_class >= self.n_classes)]
        if len(outside):
            raise ValueError(f"`query_class` must be in 0 .. {self.n_classes - 1}; got {outside[0].item()}")
        if query_class.dim() != 1 or query_class.shape != relevant.shape:
            shapes = f"{tuple(query_class.shape)} and {tuple(relevant.shape)}"
            raise ValueError(f"`query_class` and `relevant` must have one shape (B,); got {shapes}")
        keys = evaluation_keys(self._evaluation_keys, seed, len(query_class))
        query = query_class.to(self.device, torch.int64).expand_as(keys)
        return self._sequences(keys, *self._labels(keys, query, relevant.to(self.device).expand_as(keys)))

    def out_of_base(self, sequences: Sequences) -> Sequences:
        """A copy whose context and target labels are moved to the next label inside their frequency group."""
        shift = torch.stack([torch.as_tensor(s.shifted_labels.copy()) for s in self.distributions]).to(self.device)
        y = shift.gather(1, sequences.y.flatten(1)).view_as(sequences.y)
        return sequences._replace(y=y)

    def _training_queries(self, keys: Tensor, index: Tensor) -> Tensor:
        query = torch.searchsorted(self._cdf, counter.uniforms(keys, _CLASS, 1)[..., 0], right=True)
        return torch.where(index < self.n_classes, index, query) if self.cover_classes else query

    def _labels(self, keys: Tensor, query: Tensor, relevant: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Classes and noisy labels, each (R, B, L + 1), of rows with given query classes (R, B)."""
        length, n_labels = self.context_length, self.n_classes
        u = counter.uniforms(keys, 0, _CONTEXT + 3 * length + 1)
        if relevant is None:
            relevant = u[..., _RELEVANT] < self._relevant_shares.gather(1, query)
        places, others, noise = u[..., _CONTEXT:].split([length, length, length + 1], dim=-1)
        context = self._context(query, relevant, u[..., _N_RELEVANT], places, others)
        classes = torch.cat([context, query.unsqueeze(-1)], dim=-1)
        noisy = noise < self._label_noise
        offset = 1 + (noise / self._label_noise.clamp_min(1e-300) * (n_labels - 1)).long().clamp_max_(n_labels - 2)
        offset = torch.where(self._shift_noise, 1, offset)
        return classes, torch.where(noisy, (classes + offset) % n_labels, classes)

    def _context(self, query: Tensor, relevant: Tensor, u: Tensor, places: Tensor, others: Tensor) -> Tensor:
        """Classes of the context, (R, B, L)."""
        is_copy = self._relevant_places(query, relevant, u, places)
        return torch.where(is_copy, query.unsqueeze(-1), self._other_classes(query, others))

    def _relevant_places(self, query: Tensor, relevant: Tensor, u: Tensor, places: Tensor) -> Tensor:
        """Which context tokens repeat the query class: a uniform subset of a drawn size."""
        cdf = self._n_relevant_cdf.gather(1, query.unsqueeze(-1).expand(-1, -1, self.context_length + 1))
        n_relevant = (u.unsqueeze(-1) >= cdf).sum(-1) * relevant
        if self.context_length == 1:
            return n_relevant.unsqueeze(-1) > 0
        return places.argsort(-1).argsort(-1) < n_relevant.unsqueeze(-1)

    def _other_classes(self, query: Tensor, u: Tensor) -> Tensor:
        """Classes from q given that they are not the query's: the inverse of the distribution function with the
        query's interval cut out."""
        q = self._q.gather(1, query).unsqueeze(-1)
        below = self._cdf.gather(1, query).unsqueeze(-1) - q
        point = u * (1 - q)
        point = torch.where(point >= below, point + q, point)
        flat = torch.searchsorted(self._cdf, point.flatten(1), right=True).view_as(point)
        drawn = flat.clamp_max(self.n_classes - 1)
        # rounding at the edges of the cut interval may name the query's own class: take the neighbour instead
        neighbour = torch.where(query == self.n_classes - 1, query - 1, query + 1).unsqueeze(-1)
        return torch.where(drawn == query.unsqueeze(-1), neighbour, drawn)

    def _sequences(self, keys: Tensor, classes: Tensor, y: Tensor) -> Sequences:
        """Each input is the centre of its class plus Gaussian noise, shape (R, B, L + 1, d)."""
        tokens = self.context_length + 1
        start = _CONTEXT + 3 * self.context_length + 1
        replica = torch.arange(self.n_replicas, device=self.device).view(-1, 1, 1)
        noise = counter.normals(keys, start, tokens * self.dim).to(self.dtype)
        noise = noise.unflatten(-1, (tokens, self.dim))
        return Sequences(torch.addcmul(self.centres[replica, classes], noise, self._input_noise), y, classes)


def _of_one_shape(specs: Sequence[ClassMixture]) -> list[ClassMixture]:
    if not isinstance(specs, Sequence) or not specs or not all(isinstance(spec, ClassMixture) for spec in specs):
        raise ValueError(f"`distributions` must be one or more ClassMixture; got {shown(specs)}")
    for name in ("n_classes", "context_length", "dim"):
        values = sorted({getattr(spec, name) for spec in specs})
        if len(values) > 1:
            raise ValueError(f"`distributions` must agree in `{name}`; got {values}")
    numbers = specs[0].n_classes * max(specs[0].dim, specs[0].context_length)
    if numbers > LARGEST_TABLE:
        raise ValueError(f"`distributions` must have tables of at most 2^28 numbers; got one of {numbers}")
    return list(specs)
