"""The systems of `compare`, on images: what they read, and what they are tested on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gating.evaluation.conditions import Condition, TestSet, conditions, draw_test_set
from gating.models.transformer import Transformer
from gating.pictures.encoder import ImageEncoder, ReadingImages
from gating.pictures.features import Components
from gating.pictures.sampler import ImageMixtureSampler
from gating.studies.compare.systems import Systems
from gating.studies.images.config import PICTURES, ImagesConfig
from gating.studies.replicas import Replica
from gating.tasks.class_mixture import ClassMixtureSampler
from theory.distribution import ClassMixture
from theory.settings import SpecError

__all__ = ["ImageSystems", "inputs_of"]


def inputs_of(config: ImagesConfig) -> dict[str | None, Tensor]:
    """What models read, each of shape (classes, exemplars, dim): under None in training, ``unseen`` exemplars and
    ``new`` classes."""
    banks = config.banks
    shown = banks.training.images
    if config.exemplars == "single":
        classes = np.arange(len(shown))
        shown = shown[classes, classes % shown.shape[1]][:, None]
    images: dict[str | None, NDArray[np.uint8]] = {None: shown, "unseen": banks.unseen.images}
    if banks.new:
        images["new"] = banks.new.images
    if config.encoder == "components":
        count, dim = shown.shape[0] * shown.shape[1], config.distribution.dim
        if dim >= count:
            allowed = f"less than {count}, the number of images that are trained on, whose components are read"
            raise SpecError([f"`distribution.dim` must be {allowed}; got {dim}"])
        components = Components.of(shown, config.distribution.dim)
        return {name: components.of_images(held) for name, held in images.items()}
    return {name: torch.from_numpy(held.astype(np.float32) / 255).flatten(2) for name, held in images.items()}


@dataclass(frozen=True)
class ImageSystems(Systems):
    """Models of a run on images.

    Label counts are not among them: that no label is noisy, and classes are known, leaves them nothing to learn.
    """

    shared: ClassVar[tuple[str, ...]] = ("cover_classes", *PICTURES)
    counted: ClassVar[bool] = False
    config: ImagesConfig

    @cached_property
    def _inputs(self) -> dict[str | None, Tensor]:
        return inputs_of(self.config)

    def _transformer(self, spec: ClassMixture, rngs: Sequence[torch.Generator]) -> nn.Module:
        if self.config.encoder == "components":
            return super()._transformer(spec, rngs)
        shape = self.config.transformer
        encoder = ImageEncoder(self.config.pixels, shape.width, rngs)
        model = Transformer(shape.width, spec.n_classes, spec.context_length, rngs=rngs, **vars(shape))
        return ReadingImages(encoder, model)

    def source(self, replicas: Sequence[Replica]) -> ClassMixtureSampler:
        """Training batches of some replicas, and fresh sequences."""
        return ImageMixtureSampler(
            self._inputs[None],
            [r.distribution for r in replicas],
            [r.n_sequences for r in replicas],
            [r.data_seed for r in replicas],
            others={name: held for name, held in self._inputs.items() if name},
            rivals=self.config.rivals,
            cover_classes=self.config.cover_classes,
            device=self.device,
        )

    def tests(self, sampler: ClassMixtureSampler) -> Iterator[tuple[TestSet, list[Condition]]]:
        """In base and out of base: on images of training, on exemplars that it never showed, and on new classes, whose
        label only a relevant context tells."""
        config, classes = self.config, self.config.tested
        every = list(conditions(config.distribution, classes))
        for name in self._inputs:
            how = {"exemplars": name, "prefix": f"{name}_"} if name else {}
            per_cell = config.evaluation_per_cell
            found = draw_test_set(
                sampler, seed=config.evaluation_seed, evaluation_per_cell=per_cell, classes=classes, **how
            )
            if name == "new":
                for part in (found.sequences, found.label_distribution):
                    del part["new_oobd"]
                yield found, [condition for condition in every if condition.context == "relevant"]
            else:
                yield found, every
