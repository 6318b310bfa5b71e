"""What is said of made-up runs: a claim that must be there, and one that must not."""

import pytest
from finetune_table import AFTER, BEFORE, MEMORY, MIXED, READING, measured

from gating.results.table import make_table
from llm_finetune.config import FinetuneConfig
from llm_finetune.verdict import finetune_verdict

GUESS = {"recall": 0.06, "memorised": 0.06, "stated": 0.06, "reads": 0.06}
MANY = {f"memory={1 - x:g} reading={x:g}": {**AFTER[MIXED], "recall": 1 - x} for x in (0.1, 0.2, 0.3, 0.4, 0.5)}


def without(found, where: str):
    config, table = found
    return config, table.query(f"not ({where})")


CASES = {
    "three mixtures": (
        measured(),
        ["0.06 [", 'before training; after it between 0.16 [0.12, 0.21] with "reading only" and 0.99 [0.93, 1.00] with',
         'the memorised answer wins with "memory only" (0.71 [0.67, 0.75] against 0.24 [0.20, 0.28])',
         'the context\'s answer wins with "memory 50%, reading 50%" and "reading only"',
         'it falls to 0.20 [0.16, 0.24] with "memory only" and rises with', "From 50% of prompts"],
        ["Caution", "guess", "cannot be told apart", "control", "nan"],
    ),
    "many mixtures": (
        measured(MANY),
        ["between 0.50 [", 'with "memory 50%, reading 50%" and 0.90 [', "wins with every mixture"],
        ["memory 70%", "nan"],
    ),
    "one seed": (measured(n_seeds=1, tests=20), ["Caution: this is one seed."], ["bootstrap", "two seeds"]),
    "two seeds": (measured(n_seeds=2), ["Caution: two seeds"], ["one seed"]),
    "one mixture": (
        measured({MEMORY: AFTER[MEMORY]}),
        ["No other share of prompts with a context to be read was trained as a control",
         'Accuracy on new subjects, whose context tells the answer, is 0.46 [',
         'falls to 0.20 [0.16, 0.24] with "memory'],
        ["From ", "In-context accuracy is", "every mixture"],
    ),
    "a model that guesses": (
        measured(dict.fromkeys(AFTER, GUESS), before=GUESS),
        ["None is above a uniform guess, 0.0625, beyond its interval.",
         "other answers win most prompts with every mixture",
         "it cannot be told apart from that with every mixture", "No share is advised, since this model does not read"],
        ["memorised answer wins", "falls", "rises", "From "],
    ),
    "intervals that overlap": (
        measured({MEMORY: {**AFTER[MEMORY], "memorised": 0.45, "stated": 0.4}, MIXED: AFTER[MIXED]}, tests=30,
                 spread=0.1),
        ['the memorised and the context\'s answer cannot be told apart with "memory only"'],
        ["the memorised answer wins", "nan"],
    ),
    "order reversed": (
        measured({MEMORY: AFTER[MIXED], MIXED: AFTER[MEMORY]}),
        ['the memorised answer wins with "memory 50%, reading 50%"', "No measured share keeps the in-context accuracy"],
        ['the memorised answer wins with "memory only"', "From 50%"],
    ),
    "no share keeps it": (
        measured({MIXED: AFTER[MEMORY], READING: AFTER[MEMORY]}),
        ["No measured share keeps"], ["From ", "inf", "rises"],
    ),
    "measured before training alone": (
        without(measured(), "step == 40"), ["nothing is said of what training does"], ["after it", "wins", "falls"],
    ),
    "no contradicting contexts": (
        without(measured(), "context == 'contradicting' and not answer"), ["Recall of trained facts"], ["wins", "nan"],
    ),
    "no recall": (
        without(measured(), "context == 'no_context'"), ["In-context accuracy is 0.46 ["], ["Recall", "nan"],
    ),
    "a mixture without rows": (
        without(measured(), "mixture == 'reading=1' and not answer"),
        ['after it 0.99 [0.93, 1.00] with "memory only" and "memory 50%'], ["every mixture"],
    ),
    "gates of a run alone": (
        without(measured(), "system == 'llm'"), ["No language model was measured."], ["Recall", "Caution"],
    ),
    "an empty table": ((FinetuneConfig(), make_table([])), ["No language model was measured."], ["Recall"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_the_table_supports_and_no_more(case):
    (config, table), there, absent = CASES[case]
    sentences = " ".join(finetune_verdict(config, table))
    assert [claim for claim in there if claim not in sentences] == []
    assert [claim for claim in absent if claim in sentences] == []
    assert sum(word.strip('("').isalpha() for word in sentences.split()) <= 110


def test_values_without_an_interval_decide_nothing():
    config, table = measured({MEMORY: AFTER[MEMORY]}, n_seeds=1)
    sentences = " ".join(finetune_verdict(config, table.assign(tests=None)))
    assert "the memorised and the context's answer cannot be told apart" in sentences
    assert f"{BEFORE['recall']:.2f} before training" in sentences
    assert "falls" not in sentences
