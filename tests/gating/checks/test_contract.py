"""A contract names every broken sentence at once, and the documentation lists every sentence."""

import re
from pathlib import Path

import pytest

from gating.checks import (
    GATE_CONTRACT,
    PREDICTOR_CONTRACT,
    STUDY_CONTRACT,
    TASK_CONTRACT,
    Contract,
    ContractBroken,
)

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {
    "own-gate-or-task.md": (GATE_CONTRACT, TASK_CONTRACT, PREDICTOR_CONTRACT),
    "own-study.md": (STUDY_CONTRACT,),
}


def numbers():
    contract = Contract()

    @contract.says
    def is_even(number):
        """A number
        is even."""
        if number % 2:
            yield f"{number}"
            yield "and more"

    @contract.says
    def has_an_inverse(number):
        """A number has an inverse."""
        if not 1 / number:
            yield "none"

    @contract.says
    def is_small(number):
        """A number is below 10."""
        if number >= 10:
            yield f"{number}"

    return contract


def test_all_broken_sentences_are_named_at_once_with_the_first_that_each_check_saw():
    with pytest.raises(ContractBroken) as caught:
        numbers().require(11)
    assert str(caught.value) == "is_even: A number is even. Seen: 11\nis_small: A number is below 10. Seen: 11"
    assert caught.value.seen == {"is_even": "11", "is_small": "11"}
    assert isinstance(caught.value, AssertionError)


def test_an_error_breaks_the_sentence_and_is_the_cause():
    with pytest.raises(ContractBroken, match=r"^has_an_inverse: .* Seen: ZeroDivisionError: ") as caught:
        numbers().require(0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_nothing_is_raised_where_every_sentence_is_kept():
    assert numbers().require(4) is None


@pytest.mark.parametrize(("page", "contracts"), PAGES.items())
def test_the_documentation_lists_every_check_and_sentence(page, contracts):
    listed = re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", (DOCS / page).read_text(encoding="utf-8"))
    said = [pair for contract in contracts for pair in contract.sentences.items()]
    assert listed == said
