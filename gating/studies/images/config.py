"""Settings of the study of images."""

from collections.abc import Iterator
from dataclasses import field, replace
from typing import Annotated, Literal

from pydantic import Field

from gating.pictures.banks import ImageBanks, load_banks
from gating.studies.compare.config import CompareConfig
from gating.tasks.class_mixture import MAX_SEQUENCES
from gating.training.schedule import TrainSettings
from theory.distribution import ClassMixture
from theory.fields import Count, PathText, Several, Whole
from theory.settings import settings

__all__ = ["PICTURES", "ImagesConfig"]

PICTURES = ("characters", "images", "fonts", "pixels", "encoder", "exemplars", "rivals")
"""Settings of what inputs are."""


def _paper() -> ClassMixture:
    return ClassMixture(n_high=20, n_low=1603, context_length=2, input_noise=0.1)


def _training() -> TrainSettings:
    return TrainSettings(steps=100_000, warm_up=4000, annealing="inverse_root", save_every=5000)


@settings
class ImagesConfig(CompareConfig):
    """Settings of the study `images`.

    Args:
        characters: what is drawn, ``kanji`` in the system's fonts or ``letters`` in those of packages.
        images: a folder in the layout of Omniglot, in place of `characters`.
        fonts: folder with the fonts of kanji; null for those of the system.
        pixels: along each side of an image, >= 8.
        encoder: what models read: ``components``, fixed principal components of the training images, as many as the
            Transformer is wide; or ``convolutional``, pixels, through a network that is trained with the Transformer.
        exemplars: images of a class in training: ``single``, the one of class c being the exemplar c mod T; or ``all``.
        rivals: in a relevant context, how often one other class is repeated, at most what `distribution.n_relevant`
            leaves of the context. 3, with 3 relevant pairs of 8, are the bursty sequences of S. Chan et al. (2022).
        distribution: the data; `dim` is the Transformer's width, or the number of pixels (``convolutional``).
    """

    study: Literal["images"] = "images"  # type: ignore[assignment]
    characters: Literal["kanji", "letters"] = "kanji"
    images: PathText | None = None
    fonts: PathText | None = None
    pixels: Annotated[int, Field(ge=8, le=256)] = 28
    encoder: Literal["components", "convolutional"] = "components"
    exemplars: Literal["single", "all"] = "single"
    rivals: Whole = 0
    distribution: ClassMixture = field(default_factory=_paper)
    n_sequences: Several[Annotated[int, Field(ge=1, le=MAX_SEQUENCES)]] = (10_000, 100_000, 1_000_000)
    evaluation_per_cell: Count = 4
    evaluation_classes: Count | None = 80
    cover_classes: bool = True
    transformer_training: TrainSettings = field(default_factory=_training)

    def problems(self) -> Iterator[str]:
        """What is wrong with the fields together, one sentence each."""
        yield from super().problems()
        spec, area = self.distribution, self.pixels**2
        if self.encoder == "convolutional" and spec.dim != area:
            yield f"`distribution.dim` must be `pixels`^2 = {area} where `encoder` is convolutional; got {spec.dim}"
        relevant = spec.n_relevant if spec.n_relevant is not None else spec.context_length
        if self.rivals > spec.context_length - relevant:
            yield (
                "`rivals` must be at most `distribution.context_length` - `distribution.n_relevant` = "
                f"{spec.context_length - relevant}, where null stands for the whole context; got {self.rivals}"
            )

    @property
    def read(self) -> ClassMixture:
        """The data as the Transformer's blocks read them, through the encoder."""
        wide = self.transformer.width
        return self.distribution if self.encoder == "components" else replace(self.distribution, dim=wide)

    @property
    def banks(self) -> ImageBanks:
        """The images.

        Raises:
            SpecError: fonts, packages or the folder are missing, or have too few classes or exemplars.
        """
        return load_banks(self.distribution.n_classes, characters=self.characters, images=self.images,
                          fonts=self.fonts, pixels=self.pixels)  # fmt: skip
