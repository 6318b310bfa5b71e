"""What can stop a run; the command prints each as a sentence."""

__all__ = ["Damaged", "FolderError", "Interrupted", "RunFailed", "Unwritable"]


class FolderError(ValueError):
    """A folder does not hold what is needed from it, is in use, or cannot be written."""


class Damaged(FolderError):
    """A file is not the one that the run wrote."""


class Unwritable(FolderError):
    """A file cannot be written; what was saved stays, and the same call goes on from it."""


class Interrupted(Exception):
    """A run was interrupted; what was saved stays, and the same call goes on from it."""


class RunFailed(ArithmeticError):
    """A computation has no result to go on with, such as a training loss that is not a finite number."""
