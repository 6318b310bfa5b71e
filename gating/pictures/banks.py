"""Images of a study: classes that are trained on, exemplars of them that training never shows, and other classes."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from gating.pictures.characters import ENDINGS, CharacterImages, kanji, packaged_letters, printed_kanji, read_images
from theory.settings import SpecError

__all__ = ["HELD_OUT", "ImageBanks", "load_banks"]

HELD_OUT = 5
"""One of as many exemplars is held out, where a source has none of its own for that."""

_loading = threading.Lock()


@dataclass(frozen=True, eq=False)
class ImageBanks:
    """Images by what training does with them.

    Args:
        training: K classes in the exemplars of training.
        unseen: the same classes in exemplars that training never shows.
        new: other classes, in the exemplars of training; None where the source has no more classes.
    """

    training: CharacterImages
    unseen: CharacterImages
    new: CharacterImages | None

    @property
    def sha256(self) -> str:
        """Checksum of all arrays, as hexadecimal digits."""
        parts = [self.training.sha256, self.unseen.sha256, self.new.sha256 if self.new else "none"]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def load_banks(
    n_classes: int, *, characters: str = "kanji", images: str | None = None, fonts: str | None = None, pixels: int = 28
) -> ImageBanks:
    """Images of `n_classes` classes, and of others.

    Of printed kanji four typefaces are held out; of letters and of a folder the last fifth of the exemplars, at least
    one. Classes beyond the first K, and at most as many, are new ones.

    Args:
        n_classes: K, >= 2.
        characters: ``kanji`` or ``letters``.
        images: a folder in the layout of Omniglot, in place of characters.
        fonts: folder with the fonts of kanji; those of the system where it is None.
        pixels: along each side, >= 8.

    Raises:
        SpecError: fonts, packages or a folder are missing, or have too few classes or exemplars.
    """
    with _loading:  # or every thread would draw them
        return _load(n_classes, characters, images, fonts, pixels, _stamp(images), _stamp(fonts))


def _stamp(folder: str | None) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the images and fonts in a folder and below it: where one has changed, all are read
    again. Fonts of the system and of packages are taken to stay as they are while a process runs."""
    files = sorted(Path(folder).expanduser().rglob("*")) if folder else []
    read = (file for file in files if file.suffix.lower() in (".png", *ENDINGS) and file.is_file())
    return tuple((str(file), found.st_size, found.st_mtime_ns) for file in read for found in (file.stat(),))


@lru_cache(maxsize=2)
def _load(
    n_classes: int, characters: str, images: str | None, fonts: str | None, pixels: int, *_stamps: object
) -> ImageBanks:
    if images is None and characters == "kanji":
        _require_classes(n_classes, len(kanji()), "kanji")
        places, left = [fonts] if fonts else [], min(n_classes, len(kanji()) - n_classes)
        training, unseen = printed_kanji(n_classes, pixels, fonts=places)
        new = printed_kanji(left, pixels, fonts=places, first=n_classes)[0] if left else None
        return ImageBanks(training, unseen, new)
    every = packaged_letters(pixels) if images is None else read_images(images, pixels)
    n_held, n_exemplars = len(every.characters), len(every.typefaces)
    _require_classes(n_classes, n_held, "letters" if images is None else f"classes in {images!r}")
    if n_exemplars < 2:
        raise SpecError([f"`images` must have two or more images of each class; got {n_exemplars}"])
    trained = slice(n_exemplars - max(1, n_exemplars // HELD_OUT))
    known, last = slice(n_classes), min(n_held, 2 * n_classes)
    new = _part(every, slice(n_classes, last), trained) if n_held > n_classes else None
    return ImageBanks(_part(every, known, trained), _part(every, known, slice(trained.stop, None)), new)


def _require_classes(n_classes: int, held: int, what: str) -> None:
    if n_classes > held:
        raise SpecError([f"`distribution` must have at most {held} classes, as there are {what}; got {n_classes}"])


def _part(every: CharacterImages, classes: slice, exemplars: slice) -> CharacterImages:
    return replace(
        every,
        images=every.images[classes, exemplars],
        characters=every.characters[classes],
        typefaces=every.typefaces[exemplars],
    )
