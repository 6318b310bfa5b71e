"""Images of characters by class and exemplar: printed kanji, letters of packaged fonts, or a folder like Omniglot's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from theory.settings import SpecError
from theory.validation import require_integer

__all__ = ["CharacterImages", "find_fonts", "kanji", "packaged_letters", "printed_kanji", "read_images", "render"]

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
"""Where the fonts of a system are."""

ENDINGS = (".ttf", ".ttc", ".otf")
EM = 6 / 7
"""Size of a typeface's em, as a share of the image: that of 24 pixels in 28."""

OVERSAMPLING = 2
LETTERS = tuple(chr(code) for first, last in ((48, 57), (65, 90), (97, 122), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x17E))
                for code in range(first, last + 1))  # fmt: skip
"""Digits and letters of Latin, those with accents included."""

Role = Literal["training", "held_out"]


@dataclass(frozen=True, eq=False)
class CharacterImages:
    """Images of K classes of characters, each in the same T typefaces or by the same T hands.

    Args:
        images: ink from 0 (none) to 255, uint8, shape (K, T, s, s).
        characters: what each class is, K texts.
        typefaces: what each exemplar is, T texts.
    """

    images: NDArray[np.uint8]
    characters: tuple[str, ...]
    typefaces: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Checksum of the array, with its shape, as hexadecimal digits: the same images have the same."""
        shape = ",".join(map(str, self.images.shape)).encode()
        return hashlib.sha256(shape + b":" + np.ascontiguousarray(self.images).tobytes()).hexdigest()


def kanji() -> tuple[str, ...]:
    """The 2,965 kanji of JIS X 0208, level 1, in its order.

    Example:
        >>> len(kanji()), "".join(kanji()[:3])
        (2965, '亜唖娃')
    """
    rows = [(row, 51 if row == 47 else 94) for row in range(16, 48)]
    codes = (bytes([0xA0 + row, 0xA0 + cell]) for row, last in rows for cell in range(1, last + 1))
    return tuple(code.decode("euc_jp") for code in codes)


@cache
def _declared() -> dict[Role, dict[str, str]]:
    text = (resources.files("gating.pictures") / "typefaces.yaml").read_text(encoding="utf-8")
    found: dict[Role, dict[str, str]] = yaml.safe_load(text)
    return found


def find_fonts(*folders: str | Path) -> dict[str, Path]:
    """Files of fonts by name, in folders and below them; those of the system where none is given.

    Raises:
        SpecError: a folder that is named is not there.
    """
    places = [Path(folder).expanduser() for folder in folders or FOLDERS]
    missing = [str(place) for place in places if folders and not place.is_dir()]
    if missing:
        raise SpecError([f"`fonts` must be existing folders; got {missing[0]!r}"])
    files = (file for place in places if place.is_dir() for file in sorted(place.rglob("*")))
    found: dict[str, Path] = {}
    for file in files:
        if file.suffix.lower() in ENDINGS:
            found.setdefault(file.name, file)
    return found


def printed_kanji(
    n_classes: int = 1623, size: int = 28, *, fonts: Sequence[str | Path] = (), first: int = 0
) -> tuple[CharacterImages, CharacterImages]:
    """Kanji in twenty typefaces for training, and the same ones in four that are held out.

    Classes are those of JIS X 0208, level 1, from `first` on; 1,623 are as many as Omniglot has. ``typefaces.yaml``
    lists the typefaces, with the package of each.

    Args:
        n_classes: K, in 1 .. 2,965 - `first`.
        size: pixels along each side, >= 8.
        fonts: folders with the files; those of the system where there is none.
        first: how many kanji are left out before.

    Raises:
        SpecError: a number out of its range, a font that is not there, naming the package that brings it, or packages
            that are not installed.
    """
    every, declared = kanji(), _declared()
    first = require_integer("first", first, least=0, most=len(every) - 1)
    last = first + require_integer("n_classes", n_classes, least=1, most=len(every) - first)
    there = find_fonts(*fonts)
    packages = {package for own in declared.values() for name, package in own.items() if name not in there}
    if packages:
        lacks = ", ".join(sorted({name for own in declared.values() for name in own} - there.keys()))
        remedy = f"`apt-get install {' '.join(sorted(packages))}`, or name a folder that has them"
        raise SpecError([f"fonts are missing ({lacks}): {remedy}"])
    training, held_out = (
        render({Path(name).stem: there[name] for name in sorted(declared[role])}, every[first:last], size)
        for role in ("training", "held_out")
    )
    return training, held_out


def packaged_letters(size: int = 28) -> CharacterImages:
    """Digits and letters in the typefaces of font packages on PyPI (extra ``images``), those that all of them have.

    Args:
        size: pixels along each side, >= 8.

    Raises:
        SpecError: the packages are not installed.
    """
    found: dict[str, Path] = {}
    for entry in sorted(entry_points(group="fonts_ttf"), key=lambda entry: entry.name):
        found |= {name: Path(str(file)) for name, file in sorted(entry.load().items())}
    if len(found) < 2:
        raise SpecError(["letters need fonts; `pip install 'icl-gating[images]'` installs some"])
    held = [_held(file) for file in found.values()]
    common = [letter for letter in LETTERS if all(ord(letter) in codes for codes in held)]
    return render(found, common, size)


@contextmanager
def _packages() -> Iterator[None]:
    """Says which package is not installed that the block imports, and how to install it."""
    try:
        yield
    except ModuleNotFoundError as missing:
        needs = f"images need the package '{missing.name}', which is not installed"
        raise SpecError([f"{needs}; `pip install 'icl-gating[images]'` installs it"]) from missing


def _held(file: Path) -> set[int]:
    """Codes of the characters that a font has."""
    with _packages():
        from fontTools.ttLib import TTFont

    with open(file, "rb") as opened, TTFont(opened, fontNumber=0) as font:
        return set(font.getBestCmap() or {})


def render(fonts: Mapping[str, Path], characters: Sequence[str], size: int = 28) -> CharacterImages:
    """Characters as images, each amid its square, 6/7 of whose side are the typeface's em.

    Args:
        fonts: file of each typeface, by the name that it is to have; one or more.
        characters: one or more different ones; every font must have all of them.
        size: pixels along each side, >= 8.

    Raises:
        SpecError: Pillow or fontTools is not installed, a file is no font, or a font lacks a character.
    """
    size = require_integer("size", size, least=8)
    if not fonts or not characters or len(set(characters)) < len(characters):
        raise SpecError(["`fonts` and `characters` must be one or more, all different"])
    drawn = [*_drawn(fonts, characters, size)]
    return CharacterImages(np.stack(drawn, axis=1), tuple(characters), tuple(fonts))


def _drawn(fonts: Mapping[str, Path], characters: Sequence[str], size: int) -> Iterator[NDArray[np.uint8]]:
    """Images of all characters in one typeface after the other."""
    with _packages():
        from fontTools.ttLib import TTLibError
        from PIL import Image, ImageDraw, ImageFont
    side = OVERSAMPLING * size
    for name, file in fonts.items():
        try:
            held = _held(file)
            font = ImageFont.truetype(str(file), round(EM * side))
        except (OSError, TTLibError) as error:
            raise SpecError([f"`fonts` must be files of fonts; got '{file}' ({error})"]) from error
        lacking = [character for character in characters if len(character) != 1 or ord(character) not in held]
        if lacking:
            raise SpecError([f"`characters` must be ones that every font has; {name!r} has no {lacking[0]!r}"])
        found = np.empty((len(characters), size, size), np.uint8)
        for place, character in enumerate(characters):
            left, top, right, bottom = font.getbbox(character)
            square = Image.new("L", (side, side))
            corner = ((side - (right - left)) / 2 - left, (side - (bottom - top)) / 2 - top)
            ImageDraw.Draw(square).text(corner, character, fill=255, font=font)
            found[place] = np.asarray(square.resize((size, size), Image.Resampling.BOX))
        yield found


def read_images(folder: str | Path, size: int = 28) -> CharacterImages:
    """Images of a folder in the layout of Omniglot: every folder that holds images is a class, every image an exemplar.

    Ink may be dark on light or light on dark: the rarer of both is taken for ink.

    Args:
        folder: such as ``images_background``, with ``Alphabet/character01/0001_01.png`` below it.
        size: pixels along each side, >= 8.

    Raises:
        SpecError: Pillow is not installed, the folder is not there or holds no image, classes have different numbers of
            them, or a file is none, or one of unreasonable size.
    """
    with _packages():
        from PIL import Image

    place, size = Path(folder).expanduser(), require_integer("size", size, least=8)
    if not place.is_dir():
        raise SpecError([f"`images` must be an existing folder; got {str(folder)!r}"])
    classes: dict[str, list[Path]] = {}
    for file in sorted(file for file in place.rglob("*") if file.suffix.lower() == ".png"):
        classes.setdefault(file.parent.relative_to(place).as_posix(), []).append(file)
    if not classes:
        raise SpecError([f"`images` must be a folder with images (.png), one class a folder; got {str(folder)!r}"])
    numbers = sorted({len(files) for files in classes.values()})
    if len(numbers) != 1:
        raise SpecError(
            [f"`images` must hold folders with as many images each, one class a folder; got {numbers} images"]
        )
    images = np.empty((len(classes), numbers[0], size, size), np.uint8)
    for row, files in enumerate(classes.values()):
        for exemplar, file in enumerate(files):
            try:
                with Image.open(file) as image:
                    read = image.convert("L").resize((size, size), Image.Resampling.BOX)
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # as Pillow says what is wrong
                raise SpecError([f"`images` must hold images; '{file}' is none ({error})"]) from error
            images[row, exemplar] = np.asarray(read)
    light = images.mean() > 127.5
    return CharacterImages(255 - images if light else images, tuple(classes), tuple(map(str, range(numbers[0]))))
