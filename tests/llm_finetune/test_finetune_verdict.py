"""What is said of made-up runs: a claim that must be there, and one that must not."""

import numpy as np
import pytest
from finetune_table import AFTER, MEMORY, MIXED, RANDOM, READING, measured

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
        ['by what the model says: with "memory only" gained recall (0.06 to 1.00, change 0.94 [0.90, 0.98]) and lost'
         " in-context accuracy (0.46 to 0.20, change -0.26 [-0.30, -0.22]) and reading of another relation",
         'with "memory 50%, reading 50%" gained recall (0.06 to 1.00, change 0.94 [0.90, 0.98]), in-context',
         'the memorised answer wins with "memory only" (0.71 [0.67, 0.75] against 0.24 [0.20, 0.28])',
         'the context\'s answer wins with "memory 50%, reading 50%" and "reading only"', "From 50% of prompts"],
        ["Caution", "guess", "cannot be told apart", "control", "nan", "andom"],
    ),
    "many mixtures": (
        measured(MANY),
        ['with "memory 90%, reading 10%" gained', 'with "memory 50%, reading 50%" gained', "wins with every mixture"],
        ["memory 70%", "nan"],
    ),
    "one seed": (measured(n_seeds=1, tests=20), ["Caution: this is one seed."], ["bootstrap", "two seeds"]),
    "two seeds": (measured(n_seeds=2), ["Caution: two seeds"], ["one seed"]),
    "one mixture": (
        measured({MEMORY: AFTER[MEMORY]}),
        ["No other share of prompts with a context to be read was trained as a control"],
        ["From ", "every mixture"],
    ),
    "random answers lose as much": (
        measured({MEMORY: AFTER[MEMORY], RANDOM: {**AFTER[MEMORY], "reads": 0.22, "recall": 0.06}}),
        ["Random answers give nothing to memorise; after memory alone in-context accuracy cannot be told apart from"
         " that after them (by -0.02 [-0.06, 0.02])", 'with "random only" lost in-context accuracy (0.46 to 0.22'],
        ["is lower than after them", "is higher", '"random only" gained'],
    ),
    "random answers lose less": (
        measured({MEMORY: AFTER[MEMORY], RANDOM: {**AFTER[MEMORY], "reads": 0.4}}),
        ["in-context accuracy is lower than after them (by -0.20 [-0.24, -0.16])"], ["told apart from that after them"],
    ),
    "random answers lose more": (
        measured({MEMORY: AFTER[MEMORY], RANDOM: {**AFTER[MEMORY], "reads": 0.1}}),
        ["reading of another relation is higher than after them (by 0.10 [0.06, 0.14])"], ["is lower than after them"],
    ),
    "a model that guesses": (
        measured(dict.fromkeys(AFTER, GUESS), before=GUESS),
        ['with "memory only" no change beyond its interval', "other answers win most prompts with every mixture",
         "No share is advised, since this model does not read"],
        ["memorised answer wins", "gained recall", "lost in", "From "],
    ),
    "wide intervals": (measured(width=2.0), ["no change beyond its interval"], ["gained recall", "and lost in"]),
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
        ["No measured share keeps"], ["From ", "inf"],
    ),
    "measured before training alone": (
        without(measured(), "step == 40"), ["nothing is said of what training does"], ["gained", "wins", "lost"],
    ),
    "no contradicting contexts": (
        without(measured(), "context == 'contradicting' and not answer"), ["gained recall"], ["wins", "nan"],
    ),
    "judged by scores, which were not kept": (
        (FinetuneConfig(judge="score", mixtures=list(AFTER), n_seeds=4), measured()[1]), ["wins"], ["gained", "nan"],
    ),
    "a mixture without rows": (
        without(measured(), "mixture == 'reading=1'"), ['"memory only" gained recall'],
        ["every mixture", "reading only"],
    ),
    "an empty table": ((FinetuneConfig(), make_table([])), ["No language model was measured."], ["gained"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_the_table_supports_and_no_more(case):
    (config, table), there, absent = CASES[case]
    sentences = " ".join(finetune_verdict(config, table))
    assert [claim for claim in there if claim not in sentences] == []
    assert [claim for claim in absent if claim in sentences] == []
    assert sum(word.strip('("').isalpha() for word in sentences.split()) <= 130


def test_values_without_an_interval_decide_nothing():
    config, table = measured({MEMORY: AFTER[MEMORY]}, n_seeds=1)
    sentences = " ".join(finetune_verdict(config, table.assign(tests=None, low=np.nan, high=np.nan)))
    assert "the memorised and the context's answer cannot be told apart" in sentences
    assert "no change beyond its interval" in sentences
    assert "lost" not in sentences.replace("gained and lost", "")
