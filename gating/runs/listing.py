"""Files of a run by the folders that they lie in, so that those of one part are found without a look at all others."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Listing"]


class Listing:
    """Finds names of files below a folder.

    Args:
        files: the files, by name; what changes in them later is told by `change`.

    Example:
        >>> listing = Listing({"parts/a/1/x": [], "parts/a/2/x": [], "parts/b/x": []})
        >>> listing.change({"files": {"parts/a/3/y": []}, "gone": ["parts/a/1/x"]})
        >>> [*listing.inside("parts/a")]
        ['parts/a/2/x', 'parts/a/3/y']
    """

    def __init__(self, files: Mapping[str, Any]):
        self.files = files
        self._inside: dict[str, dict[str, None]] = {}
        self.change({"files": files})

    def inside(self, folder: str) -> Iterable[str]:
        """Names of the files in a folder and below it, that which was written last at the end."""
        return self._inside.get(folder, {}).keys()

    def change(self, note: Mapping[str, Any]) -> None:
        """Follows a change of the files, as a journal notes it."""
        for name in (*note.get("files", ()), *note.get("gone", ())):
            for above in _above(name):
                self._inside.get(above, {}).pop(name, None)
        for name in note.get("files", ()):
            for above in _above(name):
                self._inside.setdefault(above, {})[name] = None
        for name in note.get("gone", ()):
            for above in _above(name):
                if not self._inside.get(above, True):
                    del self._inside[above]


def _above(name: str) -> list[str]:
    folders = name.split("/")[:-1]
    return ["/".join(folders[:depth]) for depth in range(1, len(folders) + 1)]
