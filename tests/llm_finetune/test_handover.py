"""The study `handover`: predictions checked by hand, what must be refused, and what may be said."""

import html
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from handover_runs import MIXTURES, SIZES, compared, finetuned, finish, miss
from local_model import save_local_model

from gating.checks import check_study
from gating.cli import main
from gating.page.chart import specification
from gating.page.said import in_lines
from gating.results.query import select
from gating.results.table import make_table
from gating.runs.catalogue import find_study
from gating.runs.engine import run
from gating.runs.executor import Resources
from gating.runs.folder import RunFolder
from gating.runs.options import RunOptions
from llm_finetune.config import FinetuneConfig
from llm_finetune.handover.answers import gate_errors
from llm_finetune.handover.config import HandoverConfig
from llm_finetune.handover.curves import Points, foretold, points_of
from llm_finetune.handover.page import error_table, handover_figure, handover_table
from llm_finetune.handover.runs import joined_rows, read_source
from llm_finetune.handover.study import Handover
from llm_finetune.handover.verdict import handover_verdict
from theory.settings import SpecError, build

HANDOVER = Handover()


def quiet() -> Resources:
    return Resources(say=lambda line: None)


def studied(*folders, **settings):
    """Settings, and the table with its answers."""
    config = HandoverConfig(runs=[str(folder) for folder in folders], **settings)
    return config, run(HANDOVER, config, None, quiet())


def rows_of(*folders) -> pd.DataFrame:
    return joined_rows(read_source(str(folder)) for folder in folders)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """Runs whose gates follow the theory, with every row teaching: of classes, and of facts."""
    root = tmp_path_factory.mktemp("exact")
    classes = [compared(root / "alone", 0.0, seeds=(100, 101, 102))]
    classes += [compared(root / f"share {p}", p) for p in (0.5, 0.9)]
    return *classes, finetuned(root / "facts")


@pytest.fixture(scope="module")
def found(exact):
    return studied(*exact)


def test_predicted_gates_are_those_computed_by_hand(found):
    """What memory misses after n times is 20 / (20 + n), a mean over seeds 100, 101, 102 with none in common."""
    _, table = found
    rows = select(table, {"system": "transformer", "kind": "predicted", "measure": "effective_gate", "group": "low"})
    by_hand = {
        ("every", 0.5, 100): (1 - 0.5) / (20 / 22), ("every", 0.9, 100): 0.1 / (20 / 22),
        ("every", 0.9, 1000): 0.1 / (20 / 40), ("every", 0.5, 1000): 1.0, ("every", 0.9, 10_000): 1.0,
        # of 20 rows the context leaves 2, of 200 it leaves 20
        ("unanswered", 0.9, 1000): 0.1 / (20 / 22), ("unanswered", 0.9, 10_000): 0.1 / (20 / 40),
    }  # fmt: skip
    gates = rows.set_index(["teaching", "answered", "n"])["value"]
    for place, value in by_hand.items():
        assert gates[place] == pytest.approx(value, rel=1e-3), place


def test_between_sizes_the_miss_is_a_line_in_ln_n_and_beyond_them_nothing_is_predicted(found):
    """At p = 0.5 and N = 1000 a rare class leaves 10 rows that no context answers, between 2 and 20."""
    _, table = found
    rows = select(table, {"system": "transformer", "kind": "predicted", "measure": "effective_gate", "group": "low"})
    at = rows.set_index(["teaching", "answered", "n"])["value"]
    part = np.log(10 / 2) / np.log(20 / 2)
    missed = 20 / 22 + part * (20 / 40 - 20 / 22)
    assert at["unanswered", 0.5, 1000] == pytest.approx(0.5 / missed, rel=1e-3)
    assert ("unanswered", 0.5, 100) not in at  # one row, where memory alone was asked twice at least
    share = select(table, {"system": "transformer", "measure": "gates_predicted"}).set_index("teaching")["value"]
    assert (share["every"], share["unanswered"]) == (1.0, pytest.approx(2 / 3))


def test_what_memory_misses_is_that_of_the_other_seeds(tmp_path):
    """Seeds 0, 1, 2 of a memory-only run of the same facts miss 0.2, 0.4, 0.9: others of each 0.65, 0.55, 0.3."""
    folder = finetuned(tmp_path / "run", gate=lambda n, p: 0.5, recalled=lambda n: 0.5, spread=0.0)
    table = rows_of(folder)
    alone = table["measure"] == "memory_miss"
    table.loc[alone, "value"] = table.loc[alone, "seed"].map({0: 0.2, 1: 0.4, 2: 0.9}).astype(float)
    points = points_of(table, "llm")
    found = foretold(points, "every", np.arange(3), np.ones(3))
    half = (points.where["answered"] == 0.5).to_numpy()
    for seed, missed in enumerate((0.65, 0.55, 0.3)):
        np.testing.assert_allclose(found["memory"][seed], 1 - missed)
        np.testing.assert_allclose(found["handover"][seed, half], min(1.0, 0.5 / missed))
    drawn = foretold(points, "every", np.array([0]), np.array([2.0, 0.0, 1.0]))  # of seed 0 twice and 2 once: seed 2
    np.testing.assert_allclose(drawn["memory"], 0.1)


def test_the_gate_of_other_shares_is_their_mean_on_other_seeds(tmp_path):
    folder = finetuned(tmp_path / "run", gate=lambda n, p: p, spread=0.0)
    table = rows_of(folder)
    gates = (table["measure"] == "effective_gate") & (table["answered"] == 0.9)
    table.loc[gates, "value"] = table.loc[gates, "seed"].map({0: 0.0, 1: 0.3, 2: 0.9}).astype(float)
    points = points_of(table, "llm")
    found = foretold(points, "every", np.arange(3), np.ones(3))["other_share"]
    half = (points.where["answered"] == 0.5).to_numpy()
    np.testing.assert_allclose(found[:, half], np.array([[0.6], [0.45], [0.15]]).repeat(half.sum(), axis=1))
    np.testing.assert_allclose(found[:, ~half], 0.5)


def test_errors_are_means_over_the_gates_that_all_foretell():
    where = pd.DataFrame({"answered": [0.5, 0.9, 0.5], "asked": [1.0, 1.0, 2.0]})
    missed = np.array([[1.0, 0.5, np.nan]])
    gates = np.array([[0.4, 0.5, 0.9], [0.6, 0.2, 0.9]])
    points = Points(where, gates, np.array([0, 1]), {"every": missed}, np.array([7]), np.full((2, 3), np.nan))
    found = gate_errors(points, "every", np.arange(2), np.ones(1))
    # predicted 0.5 and 0.2; memory 0 and 0.5; the median of 0.2, 0.4, 0.5, 0.6 is 0.45; the third point has none
    assert found == pytest.approx({"handover": (0.1 + 0.3 + 0.1 + 0.0) / 4, "memory": (0.4 + 0.0 + 0.6 + 0.3) / 4,
                                   "constant": (0.05 + 0.05 + 0.15 + 0.25) / 4})  # fmt: skip
    assert gate_errors(points, "every", np.array([1]), np.ones(1))["handover"] == pytest.approx(0.05)


def test_n_star_is_where_the_miss_falls_below_the_handover_s(found):
    """At p = 0.5 that is 2/3; of rare classes memory misses 20/22 at n = 2 and 20/40 at n = 20."""
    _, table = found
    rows = select(table, {"system": "transformer", "measure": "handover_asked", "group": "low", "answered": 0.5})
    part = (20 / 22 - 2 / 3) / (20 / 22 - 20 / 40)
    predicted = 2 * 10**part
    at = rows.set_index(["kind", "teaching"])["value"]
    assert at["predicted", "every"] == pytest.approx(predicted, rel=1e-2)
    assert at["predicted", "unanswered"] == pytest.approx(2 * predicted, rel=1e-2)
    measured = rows[rows["kind"] == "measured"].iloc[0]  # error 1/2, which is at n = 20
    assert measured["value"] == pytest.approx(20, rel=0.1)
    assert measured["low"] < measured["value"] < measured["high"]
    facts = select(table, {"system": "llm", "measure": "handover_asked", "answered": 0.9, "group": "low"})
    assert np.isinf(facts["value"]).all()
    shown = str(handover_table(table))
    assert re.search(r"Language model +rare +0\.9 +above 2\.7 +above 2\.7 +above 27", shown)


def test_where_every_context_answers_weights_never_take_over(tmp_path):
    alone, always = compared(tmp_path / "alone", 0.0, seeds=(7, 8, 9)), compared(tmp_path / "always", 1.0)
    _, table = studied(alone, always)
    gates = select(table, {"kind": "predicted", "measure": "effective_gate"})
    assert set(gates["teaching"]) == {"every"}
    assert set(gates["value"]) == {0.0}
    shown = str(handover_table(table))
    assert re.search(r"Transformer +rare +1 +20 \[.*\] +above 200 +never", shown), shown


def test_gates_that_follow_the_theory_are_said_to(found):
    config, table = found
    verdict = handover_verdict(config, table)
    assert verdict[0].startswith(
        "Counting every row, the predicted gate holds to 0.1 on average for the language model ("
    )
    assert verdict[0].endswith(
        "It is better than every baseline for the language model, the Transformer and the stylized model."
    )
    assert "does not hold to 0.1 on average for the Transformer (0.24" in verdict[1]
    assert "worse than the best constant gate" in verdict[1]
    assert any(sentence.startswith("Not every gate has a prediction") for sentence in verdict)
    assert not any("told apart, which" in sentence for sentence in verdict)
    assert in_lines(verdict) in HANDOVER.text(config, table)


def test_gates_that_do_not_follow_it_are_said_not_to(tmp_path):
    """The language model reads what is about the subject, whatever p is, and passes over what is not."""
    noise = {0: 0.0, 1: 0.02, 2: -0.02}
    folder = finetuned(tmp_path / "run", gate=lambda n, p: 0.02, elsewhere=lambda n, p: 0.8)
    table = rows_of(folder)
    beside = (table["measure"] == "effective_gate") & (table["context"] == "someone_else")
    table.loc[beside, "value"] += table.loc[beside, "seed"].map(noise).astype(float)
    config = HandoverConfig(runs=[str(folder)])
    table = make_table(pd.concat([table, HANDOVER.answers(config, table)], ignore_index=True))
    verdict = handover_verdict(config, table)
    assert "does not hold to 0.1 on average for the language model (0.4" in verdict[0]
    assert "worse than the best constant gate" in verdict[0]
    assert "holds to" not in " ".join(verdict)
    told = [
        sentence for sentence in verdict if "the two are told apart, which the theory's gate cannot do." in sentence
    ]
    assert len(told) == 1
    assert re.search(r"for the language model \(by 0\.7\d \[0\.\d\d, 0\.\d\d\] at p = 0\.[59]\)", told[0])


def test_of_few_seeds_nothing_is_claimed(tmp_path):
    alone = compared(tmp_path / "alone", 0.0, seeds=(5, 6))
    config, table = studied(alone, compared(tmp_path / "half", 0.5, seeds=(0,)))
    verdict = " ".join(handover_verdict(config, table))
    assert "has fewer than three seeds, so that nothing is said of whether it holds to 0.1 on average," in verdict
    assert "It is " not in verdict
    assert table.loc[table["measure"] == "gate_error", "low"].isna().all()
    assert "other_share" not in set(table["predictor"].dropna())  # there is one share alone


def test_a_panel_for_each_system_with_points_measured_and_lines_predicted(found):
    _, table = found
    figure = handover_figure(table)
    assert [panel.column for panel in figure.panels] == ["Language model", "Transformer", "Stylized model, end to end"]
    transformer = {layer.look.name: layer for layer in figure.panels[1].layers}
    assert sorted(transformer) == [
        "p = 0.5, frequent", "p = 0.5, rare", "p = 0.9, frequent", "p = 0.9, rare",
        "predicted, p = 0.5: every row", "predicted, p = 0.5: only rows that no context answers",
        "predicted, p = 0.9: every row", "predicted, p = 0.9: only rows that no context answers",
    ]  # fmt: skip
    rare = transformer["p = 0.9, rare"]
    assert rare.rows["x"].round(6).tolist() == [n * 0.1 / 5 for n in SIZES]
    assert {"low", "high"} <= set(rare.rows)
    assert not rare.look.filled
    lines = [
        transformer[f"predicted, p = 0.9: {which}"] for which in ("every row", "only rows that no context answers")
    ]
    assert lines[0].look.dash != lines[1].look.dash
    assert lines[0].look.colour == rare.look.colour
    assert specification(figure, "page")["concat"]
    assert str(error_table(table)).count("every row") == 3


def test_a_page_and_a_table_from_the_command(exact, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["handover", *map(str, exact), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Counting every row, the predicted gate holds" in said
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    assert 'id="figure-handover"' in page
    assert "the language model" in page
    subprocess.run([sys.executable, "-m", "gating", "report", str(out)], check=True, stdout=subprocess.DEVNULL)
    other = compared(tmp_path / "other", 0.7)
    config, _ = HANDOVER.from_flags([*map(str, exact), str(other), "--tolerance", "0.2"], RunOptions)
    assert (len(config.runs), config.tolerance) == (5, 0.2)
    assert "usage: gating handover [RUNS ...] [--name value ...]" in HANDOVER.help(RunOptions)


def test_runs_that_cannot_be_laid_side_by_side_are_refused(exact, tmp_path):
    alone, half, nine, facts = map(str, exact)
    unfinished = RunFolder(tmp_path / "unfinished")
    with unfinished.locked():
        unfinished.begin("compare", {"config": {"study": "compare"}})
    bounds = finish(tmp_path / "bounds", "bounds", {}, make_table([{"measure": "error", "value": 0.1}]))
    mixed = finetuned(tmp_path / "mixed", mixtures=MIXTURES[1:])
    memory = finetuned(tmp_path / "memory", mixtures=MIXTURES[:1])
    wider = compared(tmp_path / "wider", 0.7, context_length=4)
    noisy = compared(tmp_path / "noisy", 0.7, label_noise=0.1)
    faster = finetuned(tmp_path / "faster", learning_rate=0.5, seed=3)
    same = compared(tmp_path / "same", 0.0, seeds=(0,))
    one = compared(tmp_path / "one", 0.5, seeds=(0,))
    for given, sentence in (
        (
            [half, nine],
            "`runs` must hold a memory-only run of transformer, one with `distribution.p_relevant` 0; got none",
        ),
        ([mixed], "`runs` must hold a memory-only run of llm, one with the mixture memory=1; got none"),
        (
            [memory],
            "`runs` must hold gates of llm in contexts that are contradicting, beside the mixture memory=1; got",
        ),
        ([alone], "`runs` must hold gates of transformer in contexts that are relevant, beside"),
        ([unfinished.path], "`runs` must be finished; "),
        ([alone, bounds], "`runs` must be of `gating compare` or `gating finetune`; "),
        ([alone, half, wider], "differ in distribution.context_length"),
        ([facts, faster], "differ in training.learning_rate"),
        ([alone, half, noisy], "differ in distribution.label_noise"),
        ([noisy, alone], "differ in distribution.label_noise"),
        ([alone, half, half + "/"], "`runs` must hold each measurement once; got {'system': 'transformer'"),
        (
            [same, one],
            "`runs` must hold a memory-only run of transformer on other facts, with another seed than 0; got",
        ),
        ([noisy], "`runs` must have labels without noise; "),
    ):
        with pytest.raises(SpecError) as caught:
            run(HANDOVER, HandoverConfig(runs=[str(folder) for folder in given]), tmp_path / "run", quiet())
        assert sentence in str(caught.value), given
    assert not (tmp_path / "run").exists()
    with pytest.raises(SpecError, match="`runs` must be given, one or more different texts"):
        build(HandoverConfig, {})


def test_a_memory_only_run_may_stand_alone_and_counts_whatever_its_seeds(tmp_path):
    mixed = finetuned(tmp_path / "mixed", mixtures=MIXTURES[1:], n_seeds=1)
    other = finetuned(tmp_path / "other", mixtures=MIXTURES[:1], seed=50, n_seeds=2)
    points = points_of(rows_of(mixed, other), "llm")
    assert points.memory_seeds.tolist() == [50, 51]
    np.testing.assert_allclose(points.misses["every"].mean(axis=0), [miss(n) for n in points.where["asked"]], atol=0.02)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of libraries that load models
def test_runs_of_the_commands_are_read(tmp_path):
    """A tiny Transformer and a tiny language model, from training to the page."""
    model = save_local_model(tmp_path / "model")
    training = {"steps": 6, "batch_size": 4, "learning_rate": 0.01, "precision": "float32", "evaluate_at": [0, 2]}
    config = build(FinetuneConfig, {
        "model": str(model), "collection": "people", "mixtures": [*MIXTURES], "n_seeds": 2, "facts_per_group": 2,
        "conditions": ["no_context", "contradicting", "someone_else"], "training": training,
    })  # fmt: skip
    run(find_study("finetune"), config, tmp_path / "facts", quiet())
    compare = find_study("compare")
    few = {"steps": 20, "batch_size": 8, "checkpoints": 1}
    for p, seed in ((0.0, 9), (0.5, 0), (0.9, 0)):
        given = {"distribution": {"p_relevant": p, "dim": 4}, "n_sequences": [16, 128], "n_seeds": 2, "seed": seed,
                 "evaluation_per_cell": 4, "transformer": {"depth": 1, "width": 4}, "hidden": 8,
                 "transformer_training": few, "stylized_training": few}  # fmt: skip
        run(compare, build(compare.config, given), tmp_path / f"classes {p}", quiet())
    folders = [str(tmp_path / name) for name in ("facts", "classes 0.0", "classes 0.5", "classes 0.9")]
    config = HandoverConfig(runs=folders)
    table = run(HANDOVER, config, tmp_path / "run", quiet())
    assert set(table["system"]) == {"llm", "transformer", "stylized"}
    assert set(select(table, {"system": "llm", "measure": "effective_gate"})["group"]) == {"all"}
    for system in ("llm", "transformer", "stylized"):
        error = select(table, {"system": system, "measure": "gate_error", "teaching": "every"})
        assert error.set_index("predictor")["value"].between(0, 1).all()
        assert len(error) == 4
    page = html.unescape((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    assert [sentence for sentence in handover_verdict(config, table) if sentence not in page] == []


def test_it_keeps_the_contract_of_studies(exact):
    check_study(HANDOVER, HandoverConfig(runs=str(exact[-1])))
