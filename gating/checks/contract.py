"""A contract: sentences about every gate, task or predictor, each with a check that looks whether it is kept."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["Contract", "ContractBroken"]

Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterator[str]]


class ContractBroken(AssertionError):
    """Sentences of a contract that are not kept.

    Args:
        sentences: what each broken sentence says, by name of its check.
        seen: what each check saw instead.

    Example:
        >>> str(ContractBroken({"stays": "A gate is in [0, 1]."}, {"stays": "a weight of 1.2"}))
        'stays: A gate is in [0, 1]. Seen: a weight of 1.2'
    """

    def __init__(self, sentences: Mapping[str, str], seen: Mapping[str, str]):
        super().__init__("\n".join(f"{check}: {sentences[check]} Seen: {what}" for check, what in seen.items()))
        self.sentences, self.seen = sentences, seen


class Contract(Generic[Subject]):
    """Sentences with a check each; a check is a generator of what it sees that breaks its docstring.

    Example:
        >>> EVEN = Contract[int]()
        >>> @EVEN.says
        ... def halves(number):
        ...     '''Half of the number is a whole number.'''
        ...     if number % 2:
        ...         yield f"{number / 2}"
        >>> EVEN.sentences
        {'halves': 'Half of the number is a whole number.'}
        >>> EVEN.require(3)
        Traceback (most recent call last):
        ...
        gating.checks.contract.ContractBroken: halves: Half of the number is a whole number. Seen: 1.5
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check[Subject]] = {}

    def says(self, check: Check[Subject]) -> Check[Subject]:
        """Adds a check."""
        self._checks[check.__name__] = check
        return check

    @property
    def sentences(self) -> dict[str, str]:
        """What the contract says, by name of the check, in the order in which they are made."""
        return {name: " ".join((check.__doc__ or "").split()) for name, check in self._checks.items()}

    def require(self, subject: Subject) -> None:
        """Makes every check.

        Raises:
            ContractBroken: with every sentence that is not kept; an error that a check does not expect breaks it too.
        """
        seen, sentences, cause = {}, self.sentences, None
        for name, check in self._checks.items():
            try:
                what = next(check(subject), None)
            except Exception as error:  # whatever the code of somebody else raises
                what, cause = f"{type(error).__name__}: {error}", cause or error
            if what is not None:
                seen[name] = what
        if seen:
            raise ContractBroken({name: sentences[name] for name in seen}, seen) from cause
