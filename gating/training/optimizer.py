"""Steps of gradient descent on one model or on an ensemble, as the settings say, and what is saved between them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gating.training.descent import DescentSettings
from theory.validation import require_instances

__all__ = ["Descent", "clip_norms"]

CLASSES = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "adamw": ("exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}
"""What an optimizer keeps of each parameter. Adam and AdamW count their steps too; SGD may have no momentum."""


def clip_norms(gradients: list[Tensor], largest: float) -> tuple[list[Tensor], Tensor]:
    """Gradients of R replicas, each replica's scaled down to the norm `largest` where it is longer.

    Args:
        gradients: of each parameter, shape (R, ...).
        largest: the largest norm, > 0.

    Returns:
        The gradients, and their norms as they were, shape (R,). A replica depends on its own alone.

    Example:
        >>> [clipped], norms = clip_norms([torch.tensor([[3.0, 4.0], [0.3, 0.4]])], 1.0)
        >>> clipped.norm(dim=1).tolist(), norms.tolist()
        ([1.0, 0.5], [5.0, 0.5])
    """
    norm = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients]).sum(0).sqrt()
    scale = (largest / norm.clamp_min(1e-30)).clamp_max(1.0)
    return [gradient * scale.view(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients], norm


class Descent:
    """The optimizer of a model, with its schedule and clipping.

    Args:
        trained: the parameters that are trained, by their names.
        settings: optimizer, schedule and clipping.
        replicas: whether parameters have a leading replica dimension: each replica is then clipped by its own norm, and
            ``matrices`` are what one replica has as such. Its vectors may have shape (1, n), as those of our layers.
        fused: whether one kernel takes the whole step; else torch's ``foreach``, which rounds otherwise, takes it.
        flat: whether the parameters that decay alike are laid side by side in one tensor, of which each becomes a view:
            a step is then few calls, whatever their number. `step` is given the gradients of these tensors.

    Attributes:
        optimizer: torch's optimizer. Its groups are what decays, and what does not.
        leaves: what it steps on: the parameters, or the flat tensors.
        places: where each parameter lies: the number of its leaf, and its first element there.

    Raises:
        ValueError: naming the argument that is of another class, or `trained` where it is empty.

    Example:
        >>> weight = nn.Parameter(torch.tensor([1.0]))
        >>> descent = Descent({"weight": weight}, DescentSettings(10, learning_rate=0.5), replicas=False)
        >>> weight.grad = torch.tensor([20.0])
        >>> descent.step(0)
        >>> round(weight.item(), 6)
        0.5
    """

    def __init__(
        self,
        trained: Mapping[str, nn.Parameter],
        settings: DescentSettings,
        *,
        replicas: bool,
        fused: bool = True,
        flat: bool = False,
    ):
        require_instances(trained=(trained, Mapping), settings=(settings, DescentSettings))
        require_instances(replicas=(replicas, bool), fused=(fused, bool), flat=(flat, bool))
        if not trained:
            raise ValueError("`trained` must hold one or more parameters; got none")
        if strange := [name for name, parameter in trained.items() if not isinstance(parameter, nn.Parameter)]:
            raise ValueError(f"`trained` must hold parameters by their names; got {trained[strange[0]]!r}")
        self.trained, self.settings, self._replicas = dict(trained), settings, replicas
        chosen = settings.optimizer
        self.leaves: list[nn.Parameter] = []
        self.places: dict[str, tuple[int, int]] = {}
        groups: dict[float, list[str]] = {}
        for name in trained:
            groups.setdefault(chosen.weight_decay if self._decays(name) else 0.0, []).append(name)
        told = [
            {"params": self._flattened(names) if flat else self._alone(names), "weight_decay": decay}
            for decay, names in groups.items()
        ]
        self.optimizer: torch.optim.Optimizer = CLASSES[chosen.name](
            told, lr=settings.learning_rate, fused=fused, foreach=not fused, **chosen.own
        )

    def _alone(self, names: list[str]) -> list[nn.Parameter]:
        """Each parameter as a leaf of its own."""
        for name in names:
            self.places[name] = (len(self.leaves), 0)
            self.leaves.append(self.trained[name])
        return self.leaves[-len(names) :]

    def _flattened(self, names: list[str]) -> list[nn.Parameter]:
        """One leaf of these parameters side by side, of which each becomes a view."""
        members = [self.trained[name] for name in names]
        leaf, first = nn.Parameter(torch.cat([member.detach().flatten() for member in members])), 0
        for name, member in zip(names, members, strict=True):
            self.places[name] = (len(self.leaves), first)
            member.data = leaf.detach()[first : first + member.numel()].view(member.shape)
            first += member.numel()
        self.leaves.append(leaf)
        return [leaf]

    def piece(self, name: str, leaves: Sequence[Tensor] | Mapping[int, Tensor]) -> Tensor:
        """The part of a parameter, in its shape, of tensors that lie as the leaves do."""
        leaf, first = self.places[name]
        shape = self.trained[name].shape
        return leaves[leaf].flatten()[first : first + shape.numel()].view(shape)

    def _decays(self, name: str) -> bool:
        chosen, shape = self.settings.optimizer, self.trained[name].shape
        if self._replicas:
            shape = shape[2:] if shape[1:2] == (1,) else shape[1:]  # our layers' vectors have shape (R, 1, n)
        is_asked_for = chosen.decays == "all" or len(shape) >= 2
        return is_asked_for and not any(part in name for part in chosen.no_decay)

    def clip(self) -> Tensor:
        """Clips the gradients as the settings say; returns the norms before it: shape (R,), or () of one model."""
        largest = self.settings.max_grad_norm or float("inf")
        if not self._replicas:
            return nn.utils.clip_grad_norm_(self.trained.values(), largest)
        held = [parameter for parameter in self.trained.values() if parameter.grad is not None]
        clipped, norm = clip_norms([parameter.grad for parameter in held if parameter.grad is not None], largest)
        for parameter, gradient in zip(held, clipped, strict=True):
            parameter.grad = gradient
        return norm

    def step(self, step: int, gradients: Sequence[Tensor] | None = None) -> None:
        """Takes the step that follows `step` others, and forgets the gradients.

        Args:
            step: how many there were.
            gradients: of the leaves; those that the parameters hold when None.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate(step)
        for number, leaf in enumerate(self.leaves):
            gradient = leaf.grad if gradients is None else gradients[number]
            if gradient is not None:  # fused optimizers on the CPU read memory as if gradients were dense
                leaf.grad = gradient.contiguous()
        self.optimizer.step()
        for leaf in self.leaves:
            leaf.grad = None

    def state(self) -> dict[str, Tensor]:
        """What the optimizer keeps of the parameters, by ``kind.name``, such as ``exp_avg.weight``.

        Of replicas each has a leading replica dimension; the number of steps, which they share, is not among them.
        """
        kept: dict[str, Tensor] = {}
        for name, (leaf, _) in self.places.items():
            for kind, value in self.optimizer.state.get(self.leaves[leaf], {}).items():
                if not isinstance(value, Tensor) or (self._replicas and kind == "step"):
                    continue
                kept[f"{kind}.{name}"] = torch.atleast_1d(value) if kind == "step" else self._held(name, kind)
        return kept

    def _held(self, name: str, kind: str) -> Tensor:
        leaf, _ = self.places[name]
        return self.piece(name, {leaf: self.optimizer.state[self.leaves[leaf]][kind]})

    def restore(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Takes up a `state` that was left after a number of steps.

        Raises:
            ValueError: the tensors are not those of this optimizer.
        """
        chosen = self.settings.optimizer
        counts, keeps = chosen.name != "sgd", chosen.name != "sgd" or chosen.momentum > 0
        wanted = {*(MOMENTS[chosen.name] if keeps else ()), *(("step",) if counts and not self._replicas else ())}
        kinds = {key.partition(".")[0] for key in tensors}
        if kinds != wanted:
            raise ValueError(f"`tensors` must be what {chosen.name} keeps, {sorted(wanted)}; got {sorted(kinds)}")
        for key, value in tensors.items():
            kind, _, name = key.partition(".")
            leaf = self.leaves[self.places[name][0]]
            state = self.optimizer.state[leaf]
            if kind == "step":
                state["step"] = value.reshape(()).to(leaf.device, copy=True)
            else:
                state.setdefault(kind, torch.zeros_like(leaf))
                self._held(name, kind).copy_(value.reshape(self.trained[name].shape))
            if counts and self._replicas:
                state["step"] = torch.tensor(float(step), device=leaf.device)
