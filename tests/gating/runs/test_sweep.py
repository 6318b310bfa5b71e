"""Sweeps: one table of runs that are as each alone, trained together where they may be, stopped, refused and shown."""

import shlex
from pathlib import Path

import pytest
from stops import contents
from swept import equal, rows_at
from visiting import refused

from gating import cli, read_results, sweep
from gating.runs.engine import parts_of, run
from gating.runs.errors import FolderError
from gating.runs.executor import Resources
from gating.runs.folder import TABLE, RunFolder
from gating.runs.grid import SweepConfig, points
from gating.runs.options import RunOptions
from gating.runs.store import Place
from gating.runs.sweep import Sweep
from gating.settings import read_flags
from gating.settings.text import as_plain, print_config
from gating.studies.bounds.config import BoundsConfig
from gating.studies.bounds.study import Bounds
from gating.studies.compare.config import CompareConfig
from gating.studies.compare.study import Compare
from gating.studies.phases.config import PhasesConfig
from tests.golden.settings import COMPARE, TRAINING
from theory.settings import SpecError, build

QUIET = Resources(say=lambda line: None)
BOUNDS = BoundsConfig(n_sequences=(10, 100), measures="error", contexts="relevant")
FEW = {**TRAINING, "steps": 8, "checkpoints": 1, "save_every": 4}
SMALL = build(CompareConfig, {"study": "compare", **COMPARE, "n_sequences": [16], "n_seeds": 2,
                              "transformer_training": FEW, "stylized_training": FEW})  # fmt: skip
TOLERANCE = 1e-4
"""Of float32 arithmetic of replicas that train beside others, over some steps."""


def swept(config, over):
    return SweepConfig(of=config.study, base=as_plain(config), over=over)


def quietly(config, over, **how):
    return sweep(config, over, workers=1, device="cpu", say=lambda line: None, **how)


def alone(study, config, **changed):
    nested = as_plain(config)
    for name, value in changed.items():
        *sections, last = name.split("__")
        inside = nested
        for section in sections:
            inside = inside[section]
        inside[last] = value
    return run(study, build(study.config, nested), None, QUIET)


# Columns and rows.


def test_settings_are_columns_by_dotted_name_with_the_types_of_their_fields():
    over = {"distribution.label_noise": [0, 0.2], "distribution.n_low": [2, 3], "cover_classes": [False],
            "distribution.label_noise_kind": ["uniform"], "groups": [["low"], ["low", "high"]]}  # fmt: skip
    table = quietly(BOUNDS, over)
    types = {name: str(table[name].dtype) for name in table.columns if "." in name}
    assert types == {
        "bounds.cover_classes": "boolean",
        "distribution.label_noise": "float64",
        "distribution.label_noise_kind": "string",
        "distribution.n_low": "Int64",
        "bounds.groups": "string",
    }
    assert table["bounds.groups"].unique().tolist() == ['["low"]', '["low", "high"]']
    key = [*types]
    assert len(table[key].drop_duplicates()) == 8
    assert not table[key].isna().any().any()
    assert not table[~table["answer"]].duplicated([*key, "system", "n", "distribution", "context", "group", "kind",
                                                    "measure"]).any()  # fmt: skip


def test_a_setting_that_may_be_null_is_text():
    table = quietly(BOUNDS, {"distribution.zipf": [None, 1.0]}, out=None)
    for cell, value in (("null", None), ("1.0", 1.0)):
        equal(rows_at(table, distribution__zipf=cell), alone(Bounds(), BOUNDS, distribution__zipf=value))


def test_two_studies_may_be_swept_over_a_setting_of_one_name():
    axes = {"x": {"field": "n_sequences", "values": [10, 100]}, "y": {"field": "dim", "values": [8, 16]}}
    for config in (BOUNDS, PhasesConfig(**axes)):
        assert quietly(config, {"distribution.n_high": [3, 4]})["distribution.n_high"].unique().tolist() == [3, 4]


def test_a_sweep_of_sweeps_is_refused():
    with pytest.raises(SpecError, match="`of` must be a study that is no sweep; got 'sweep'"):
        SweepConfig(of="sweep", base={}, over={"of": ["bounds"]})


def test_every_setting_has_the_rows_and_answers_of_its_run_alone_to_the_last_bit():
    table = quietly(BOUNDS, {"distribution.label_noise": [0.0, 0.2], "beta": [0.5, 1.0]})
    assert {*table["study"]} == {"bounds"}
    for noise in (0.0, 0.2):
        for beta in (0.5, 1.0):
            mine = rows_at(table, distribution__label_noise=noise, bounds__beta=beta)
            assert mine["answer"].any()
            equal(mine, alone(Bounds(), BOUNDS, distribution__label_noise=noise, beta=beta))


def test_the_order_in_which_settings_are_named_does_not_matter(tmp_path):
    one, other = (
        {"beta": [0.5, 1.0], "distribution.n_low": [2, 3]},
        {"distribution": {"n_low": [2, 3]}, "beta": [0.5, 1]},
    )
    assert list(swept(BOUNDS, one).over) == list(swept(BOUNDS, other).over)
    first = quietly(BOUNDS, one, out=tmp_path / "run")
    equal(first.dropna(axis=1, how="all"), quietly(BOUNDS, other, out=tmp_path / "run"))


# Training.


def groups(config):
    return [part.name for part in parts_of(*config, "cpu") if part.name.startswith("train/")]


def trained(config):
    return {e.name: [*e.replicas] for e in Sweep().ensembles(config)}


def test_settings_of_one_architecture_train_together_and_equal_replicas_once():
    noise = swept(SMALL, {"distribution.label_noise": [0.0, 0.1, 0.2]})
    assert len(groups((Compare(), SMALL))) == 5
    assert len(groups((Sweep(), noise))) == 6  # for 18 Transformers are two groups
    assert len(trained(noise)["in_weight"]) == 3 * len(SMALL.replicas)
    test = swept(SMALL, {"evaluation_per_cell": [3, 4]})
    assert trained(test)["in_weight"] == SMALL.replicas
    seeds = swept(SMALL, {"n_seeds": [1, 2]})
    assert {*trained(seeds)["in_weight"]} == {*SMALL.replicas}
    assert len(trained(seeds)["in_weight"]) == len(SMALL.replicas)
    depth = swept(SMALL, {"transformer.depth": [1, 2]})
    assert [name.rpartition("/")[0] for name in groups((Sweep(), depth))].count("train/transformer") == 2
    assert [name.rpartition("/")[0] for name in groups((Sweep(), depth))].count("train/stylized") == 1
    dim = swept(SMALL, {"distribution.n_low": [2, 3]})
    assert len(groups((Sweep(), dim))) == 10


@pytest.mark.parametrize(("over", "tolerance"), [
    ({"evaluation_per_cell": [3, 4]}, 0.0),
    ({"transformer.depth": [1, 2]}, 0.0),
    ({"distribution.n_low": [2, 3]}, 0.0),
    ({"distribution.label_noise": [0.0, 0.1]}, TOLERANCE),
])  # fmt: skip
def test_what_trains_together_is_as_each_alone(over, tolerance):
    [(name, values)] = over.items()
    table, column = quietly(SMALL, over), name if "." in name else f"compare.{name}"
    for value in values:
        wanted = alone(Compare(), SMALL, **{name.replace(".", "__"): value})
        equal(rows_at(table, **{column.replace(".", "__"): value}), wanted, tolerance)


# Runs.


@pytest.mark.long
def test_a_stopped_sweep_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """Stopped in training, and between settings."""
    over = {"distribution.label_noise": [0.0, 0.1]}
    whole = quietly(SMALL, over, out=tmp_path / "whole")
    save, finish, calls = Place.save_tensors, RunFolder.finish, []

    def stopping(function, at):
        def act(*given):
            function(*given)
            calls.append(given)
            if len(calls) == at:
                raise KeyboardInterrupt

        return act

    for owner, name, function, at in ((Place, "save_tensors", save, 4), (RunFolder, "finish", finish, 7)):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, stopping(function, at))
            calls.clear()
            with pytest.raises(BaseException, match="interrupted"):
                quietly(SMALL, over, out=tmp_path / "run")
    equal(whole.dropna(axis=1, how="all"), quietly(SMALL, over, out=tmp_path / "run"))
    left, right = contents(tmp_path / "whole"), contents(tmp_path / "run")
    del left["manifest.json"], right["manifest.json"]
    assert left == right


COMMAND = ["sweep", "bounds", "--n_sequences", "[10, 100]", "--measures", "error", "--over"]
OVER = "distribution.label_noise=[0.0, 0.2]"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_writes_nothing(place, capsys):
    assert cli.main([*COMMAND, OVER, "--dry_run", "--out", "run"]) == 0
    assert capsys.readouterr().out.startswith("`sweep`, 4 parts, ")
    assert list(place.iterdir()) == []


@pytest.mark.long
def test_the_command_gives_the_table_of_the_function_and_its_file_goes_on_with_the_run(place, capsys):
    assert cli.main([*COMMAND, OVER, f"--over={'beta=[2.0, 0.5]'}", "--out", "run"]) == 0
    table = read_results("run")
    config = BoundsConfig(n_sequences=(10, 100), measures="error")
    over = {"distribution.label_noise": [0.0, 0.2], "beta": [2.0, 0.5]}
    equal(table.dropna(axis=1, how="all"), quietly(config, over))
    capsys.readouterr()
    assert cli.main(["sweep", "--config", "run/config.yaml", "--out", "run"]) == 0
    assert "`run` is finished; its table is used as it is" in capsys.readouterr().out
    assert cli.main(["sweep", "--config", "run/config.yaml", "--out", "again"]) == 0
    assert Path("again", TABLE).read_bytes() == Path("run", TABLE).read_bytes()
    assert cli.main(["validate", "run/config.yaml"]) == 0


@pytest.mark.parametrize("over", [
    {"distribution.label_noise": [0.0, 1e-05]},
    {"transformer_training.optimizer.betas": [[0.9, 0.99], [0.9, 0.999]], "gate_inputs": ["query"]},
    {"distribution.zipf": [None, 1.0], "cover_classes": [True, False]},
])  # fmt: skip
def test_settings_come_back_from_their_file(tmp_path, over):
    config = swept(CompareConfig(), over)
    file = tmp_path / "sweep.yaml"
    file.write_text(print_config(config))
    assert read_flags(["--config", str(file)], SweepConfig)[0] == config


def test_report_draws_the_page_again_with_every_setting_and_no_markup_of_values(place, capsys):
    assert cli.main([*COMMAND, OVER, "--out", "run"]) == 0
    first = Path("run/report.html").read_text(encoding="utf-8")
    for text in (
        "distribution.label_noise",
        "0.0",
        "0.2",
        "What was found at each setting",
        "setting-0-",
        "setting-1-",
    ):
        assert text in first
    Path("run/report.html").unlink()
    assert cli.main(["report", "run"]) == 0
    assert Path("run/report.html").read_text(encoding="utf-8") == first


@pytest.mark.long
def test_a_study_is_shown_at_every_setting_in_tables_where_there_are_many(place):
    noises = [round(0.02 * k, 2) for k in range(14)]
    quietly(BOUNDS, {"distribution.label_noise": noises}, out="run")
    page = Path("run/report.html").read_text(encoding="utf-8")
    assert all(f">{noise}<" in page for noise in noises)
    assert "setting-11-" in page
    assert "setting-12-" not in page


REFUSED = {
    "no study": (["sweep"], "`sweep` must have the name of a study first; got nothing"),
    "no study, flags": (["sweep", "--over", OVER], "`sweep` must have the name of a study first; got --over"),
    "unknown study": (["sweep", "bound"], "`study` must be one of "),
    "itself": (["sweep", "sweep", "--over", "of=[bounds]"], "`sweep` must have the name of a study first; got sweep"),
    "nothing": (["sweep", "bounds"], "`over` must name one or more settings with their values; got none"),
    "unknown setting": ([*COMMAND, "distribution.label_nois=[0.0]"],
                        "`over` must name a setting of `bounds`; got 'distribution.label_nois'; did you mean "
                        "`distribution.label_noise`?"),
    "a section": ([*COMMAND, "distribution=[1]"], "`over` must name a setting of `bounds`; got 'distribution'"),
    "the study": ([*COMMAND, "study=[bounds]"], "`over` must name a setting of `bounds`; got 'study'"),
    "no list": ([*COMMAND, "beta=2"], "`over` must give `beta` a list of different values, such as [1, 2]; got 2"),
    "empty list": ([*COMMAND, "beta=[]"], "`over` must give `beta` a list of different values"),
    "text": ([*COMMAND, "beta=two"], "`over` must give `beta` a list of different values, such as [1, 2]; got 'two'"),
    "equal values": ([*COMMAND, "beta=[2.0, 2.0]"], "`over` must give `beta` a list of different values"),
    "equal numbers": ([*COMMAND, "beta=[2, 2.0]"], "`over` must give `beta` a list of different values"),
    "out of range": ([*COMMAND, "beta=[-1.0, 1.0]"],
                     "`beta` must be a finite number > 0; got -1.0 (with {'beta': -1.0})"),
    "another type": ([*COMMAND, "distribution.n_low=[few]"], "`distribution.n_low` must be an integer >= 0; got 'few'"),
    "too many": ([*COMMAND, f"beta={[*range(1, 102)]}", "--over", f"temperature={[*range(1, 101)]}"],
                 "`over` must make at most 10,000 combinations; got 10,100"),
    "no value": ([*COMMAND[:-1], "--over"], "`over` must look like NAME=[VALUE, ...]; got '--out'"),
    "no name": ([*COMMAND, "[1, 2]"], "`over` must look like NAME=[VALUE, ...]; got '[1, 2]'"),
    "flag": ([*COMMAND, OVER, "--bets", "2"], "unknown key `bets`; did you mean `beta`?"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_sweep_is_a_sentence_and_nothing_is_written(place, capsys, arguments, said):
    assert said in refused([*arguments, "--out", "run"] if len(arguments) > 1 else arguments, capsys)
    assert list(place.iterdir()) == []


def test_several_bad_values_are_named_at_once():
    with pytest.raises(SpecError) as caught:
        quietly(BOUNDS, {"beta": [-1.0, 1.0], "distribution.label_noise": [0.1, 2.0]})
    said = "\n".join(caught.value.problems)
    assert "`beta` must be" in said
    assert "`distribution.label_noise` must be" in said


def test_a_setting_that_theory_refuses_is_named_by_its_values(place):
    with pytest.raises(SpecError, match=r"label_noise_kind|dim"):
        quietly(PhasesConfig(), {"distribution.dim": [0]}, out="run")
    assert list(place.iterdir()) == []


def test_the_folder_of_another_sweep_is_refused(place):
    quietly(BOUNDS, {"beta": [1.0]}, out="run")
    with pytest.raises(FolderError, match=r"over\.beta is \[1\.0\] there, \[2\.0\] here"):
        quietly(BOUNDS, {"beta": [2.0]}, out="run")
    with pytest.raises(FolderError, match="holds a run of `sweep`"):
        run(Bounds(), BOUNDS, "run", QUIET)


def test_a_sweep_is_a_function_of_a_name_a_preset_or_settings():
    axis = {"field": "n_sequences", "values": [10, 100]}
    table = quietly(PhasesConfig(x=axis, y={"field": "dim", "values": [8, 16]}), {"measure": ["error", "log_loss"]})
    assert table["phases.measure"].unique().tolist() == ["error", "log_loss"]
    with pytest.raises(SpecError, match="`preset` must be left out where `config` holds settings; got 'quick'"):
        quietly(BOUNDS, {"beta": [1.0]}, preset="quick")
    with pytest.raises(SpecError, match="`preset` must be one of"):
        quietly("bounds", {"beta": [1.0]}, preset="quickest")
    with pytest.raises(SpecError, match="`study` must be one of"):
        quietly("bound", {"beta": [1.0]})


@pytest.mark.parametrize("over", [
    {"distribution.label_noise": [0.0, 1e-05], "beta": [0.5, 1.0]},
    {"groups": [["low"], ["low", "high"]], "distribution.zipf": [None, 1.0]},
])  # fmt: skip
def test_the_command_on_the_page_makes_the_same_sweep(over):
    config = swept(BOUNDS, over)
    program, name, *flags = shlex.split(Sweep().command(config))
    assert (program, name) == ("gating", "sweep")
    found, _ = Sweep().from_flags(flags, RunOptions)
    assert found.over == config.over
    assert [point.config for point in points(found)] == [point.config for point in points(config)]
