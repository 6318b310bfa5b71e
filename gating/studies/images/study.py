"""The study `images`: the comparison of `compare` on images of characters, after the Omniglot experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gating.page.figures import Page
from gating.results.table import make_table
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.studies.compare.answers import crossing_rows
from gating.studies.compare.measure import measured_rows
from gating.studies.compare.study import Comparing
from gating.studies.images.config import ImagesConfig
from gating.studies.images.page import images_page, images_text
from gating.studies.images.systems import ImageSystems, inputs_of
from gating.studies.vocabulary import refusals

__all__ = ["Images"]


EXEMPLARS = 24
"""Of a class, at most, in the sources of images that there are."""


class Images(Comparing[ImagesConfig]):
    """Images of many classes: when does a Transformer answer from weights, and what can it read that it never saw?"""

    config = ImagesConfig
    kind = ImageSystems

    def inputs(self, config: ImagesConfig, say: Any) -> Mapping[str, Path | bytes]:
        """The pixels of all images, and the folders that they come from."""
        found: dict[str, Path | bytes] = {"the images": config.banks.sha256.encode()}
        folders = {name: getattr(config, name) for name in ("images", "fonts")}
        return found | {f"`{name}` {folder}": Path(folder) for name, folder in folders.items() if folder}

    def check(self, config: ImagesConfig, resources: Resources) -> None:
        """Reads the images, and looks for the compiler where it is asked for."""
        with refusals():
            inputs_of(config)
        super().check(config, resources)

    def test_sets(self, config: ImagesConfig) -> int:
        """Images of training, exemplars that it never shows, and new classes where there are some."""
        return 2 + bool(config.banks.new)

    def memory(self, config: ImagesConfig) -> float:
        """Bytes: those of `compare`, and the images with what components are made of, or what the encoder reads."""
        area, classes = config.pixels**2, config.distribution.n_classes
        shown = classes * (1 if config.exemplars == "single" else EXEMPLARS)
        read = 4 * classes * EXEMPLARS if config.encoder == "convolutional" else 8 * (2 * shown + 3 * area)
        return super().memory(config) + float(area * (classes * EXEMPLARS + read))

    def rows(self, config: ImagesConfig, work: Place) -> pd.DataFrame:
        """Measures of every system, step and seed."""
        return pd.concat(measured_rows(config, work), ignore_index=True)

    def answers(self, config: ImagesConfig, table: pd.DataFrame) -> pd.DataFrame:
        """Crossings."""
        return make_table(crossing_rows(table))

    def page(self, config: ImagesConfig, table: pd.DataFrame, beside: Any) -> Page:
        """Errors, losses and gates against N and over steps, and crossings."""
        return images_page(self.question(), config, table)

    def text(self, config: ImagesConfig, table: pd.DataFrame) -> str:
        """Errors at the last step, and crossings."""
        return images_text(config, table)
