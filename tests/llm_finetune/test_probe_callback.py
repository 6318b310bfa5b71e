"""What `InContextProbe` logs, keeps and stops in trainers of transformers, on a small model; trl: `test_peers.py`."""

import pytest
import torch
from small_suite import small_suite
from transformers import Trainer, TrainerCallback, TrainingArguments

from gating.results.query import select
from gating.runs.engine import run
from gating.runs.executor import Resources
from llm_finetune.abilities import ABILITIES
from llm_finetune.adapters import adapted, load_tuned
from llm_finetune.collection import load_collection
from llm_finetune.models import load_model
from llm_finetune.probe.callback import InContextProbe
from llm_finetune.probe.config import ProbeConfig
from llm_finetune.probe.study import Probe
from tests.golden.settings import save_model
from theory.settings import SpecError

FEW = {"prompts_per_fact": 1, "facts_per_group": 3}
TEXTS = [f"user: Where does {name} live?\nassistant: London<end>" for name in ("Liz", "Bob", "Eve", "Ann")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "base")


class Tracker(TrainerCallback):
    """Stands for a tracker: sees what the trainer logs."""

    def __init__(self):
        self.seen: list[tuple[int, dict[str, float]]] = []

    def on_log(self, args, state, control, logs, **held):
        self.seen.append((state.global_step, dict(logs)))


def arguments(out, **given):
    return {"output_dir": str(out), "max_steps": 4, "per_device_train_batch_size": 2, "learning_rate": 0.05,
            "report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", **given}  # fmt: skip


def trainer(base, out, *callbacks, adapter=False, **given):
    model, tokenizer = load_model(str(base))
    model = adapted(model, 2, 4.0, 0) if adapter else model
    rows = [{"input_ids": ids, "labels": ids} for ids in (tokenizer(text)["input_ids"][:30] for text in TEXTS)]
    return Trainer(model, TrainingArguments(**arguments(out, **given)), train_dataset=rows, callbacks=list(callbacks),
                   processing_class=tokenizer)  # fmt: skip


def logged(of) -> dict[int, dict[str, float]]:
    """What the probe logged at each step, without its prefix."""
    rows = [row for row in of.state.log_history if "probe/recall" in row]
    return {row["step"]: {key[6:]: row[key] for key in row if key.startswith("probe/")} for row in rows}


@pytest.mark.parametrize(("judge", "bf16"), [("score", False), ("score", True), ("said", False)])
def test_its_numbers_are_those_of_the_study_and_reach_the_trackers(base, tmp_path, judge, bf16):
    tracker, how = Tracker(), {"pairing_seed": 2, "judge": judge, **FEW}
    training = trainer(base, tmp_path / "out", tracker, bf16=bf16, logging_steps=1)
    probe = InContextProbe("people", every=3, keep=tmp_path / "kept", **how).attach(training)
    training.train()
    found = logged(training)
    assert list(found) == [0, 3, 4]
    assert {step for step, logs in tracker.seen if "probe/recall" in logs} == {0, 3, 4}
    assert [row["step"] for row in training.state.log_history if "loss" in row] == [1, 2, 3, 4]
    training.save_model(str(tmp_path / "tuned"))
    config = ProbeConfig(base=str(base), tuned=str(tmp_path / "tuned"), **how)
    table = run(Probe(), config, None, Resources(say=lambda line: None))
    for model, step in (("base", 0), ("tuned", 4)):
        answers = select(table[table["answer"]], {"model": model, "group": "all", "measure": tuple(ABILITIES)})
        wanted = answers.set_index("measure")["value"].to_dict()
        assert found[step] == pytest.approx(wanted, abs=1e-12)
    best = max((3, 4), key=lambda step: (found[step]["in_context_accuracy"], -step))
    assert [folder.name for folder in (tmp_path / "kept").iterdir()] == [f"step-{best}"]
    assert probe.best == tmp_path / "kept" / f"step-{best}"
    assert probe.measure(*load_model(str(probe.best))) == pytest.approx(found[best], abs=1e-12)


def test_training_is_the_same_with_it(base, tmp_path):
    """With dropout: each trainer seeds torch when it is made."""
    plain = trainer(base, tmp_path / "a")
    plain.train()
    watched = trainer(base, tmp_path / "b")
    InContextProbe(load_collection("people"), every=1, **FEW).attach(watched)
    watched.train()
    assert len(logged(watched)) == 5
    for one, other in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_asks_the_prompts_of_the_study_about_any_suite(tmp_path):
    """With the defaults of both: all relations and languages of a given suite, and a folder."""
    for source in ("relations", str(small_suite(tmp_path / "mine"))):
        config = ProbeConfig(base="base", tuned="tuned", suites=source)
        assert [InContextProbe(source, every=1).questions] == [*config.questions.values()]
    with pytest.raises(SpecError, match="`most_prompts` must be at least 288, one in each condition"):
        InContextProbe("relations", every=1, most_prompts=287)


def test_an_adapter_is_kept_as_one(base, tmp_path):
    training = trainer(base, tmp_path / "out", adapter=True)
    probe = InContextProbe("people", every=4, keep=tmp_path / "kept", **FEW).attach(training)
    training.train()
    assert (probe.best / "adapter_config.json").is_file()
    found = probe.measure(*load_tuned(str(probe.best), str(base)))
    assert found == pytest.approx(logged(training)[4], abs=1e-12)


def measures_are(monkeypatch, *accuracies):
    held = iter(accuracies)
    measure = lambda *given: {"recall": 0.0, "in_context_accuracy": next(held)}  # noqa: E731
    monkeypatch.setattr(InContextProbe, "measure", measure)


@pytest.mark.parametrize(("margin", "stops"), [(0.2, 3), (0.5, 4), (None, 4)])
def test_it_stops_when_too_much_is_lost_and_keeps_the_best(base, tmp_path, monkeypatch, margin, stops):
    measures_are(monkeypatch, 0.5, 0.6, 0.45, 0.3, 0.3)
    training = trainer(base, tmp_path / "out")
    probe = InContextProbe("people", every=1, margin=margin, keep=tmp_path / "kept").attach(training)
    training.train()
    assert training.state.global_step == stops
    assert list(logged(training)) == [*range(stops + 1)]
    assert [folder.name for folder in (tmp_path / "kept").iterdir()] == ["step-1"]
    assert probe.best == tmp_path / "kept" / "step-1"


def test_what_a_resumed_training_has_measured_counts(base, tmp_path, monkeypatch):
    measures_are(monkeypatch, 0.9, 0.8, 0.7, 0.5)
    saved, kept = {"save_strategy": "steps", "save_steps": 2}, tmp_path / "kept"
    first = trainer(base, tmp_path / "out", **saved, max_steps=2)
    InContextProbe("people", every=1, margin=0.3, keep=kept).attach(first)
    first.train()
    again = trainer(base, tmp_path / "out", **saved)
    probe = InContextProbe("people", every=1, margin=0.3, keep=kept).attach(again)
    again.train(resume_from_checkpoint=True)
    assert again.state.global_step == 3
    assert list(logged(again)) == [0, 1, 2, 3]
    assert probe.best == kept / "step-1"
    assert [folder.name for folder in kept.iterdir()] == ["step-1"]


def test_a_second_training_keeps_its_own_best(base, tmp_path, monkeypatch):
    measures_are(monkeypatch, 0.1, 0.9, 0.1, 0.5)
    probe = InContextProbe("people", every=1, keep=tmp_path / "kept")
    for name in ("a", "b"):
        training = trainer(base, tmp_path / name, max_steps=1)
        probe.attach(training)
        training.train()
    assert probe.best == tmp_path / "kept" / "step-1"
    assert torch.equal(load_model(str(probe.best)).model.lm_head.weight, training.model.lm_head.weight.cpu())


def test_bad_arguments_are_named(base, tmp_path):
    with pytest.raises(ValueError, match="`every` must be an integer >= 1; got 0"):
        InContextProbe(every=0)
    with pytest.raises(ValueError, match="`margin`"):
        InContextProbe(every=1, margin=1.5)
    with pytest.raises(ValueError, match="`chat` must be one of"):
        InContextProbe(every=1, chat="yes")
    with pytest.raises(SpecError, match="`suite` must be one of"):
        InContextProbe("nobody", every=1)
    with pytest.raises(ValueError, match="`suite` must be"):
        InContextProbe(3, every=1)
    with pytest.raises(ValueError, match="`trainer` must be a trainer of transformers or trl; got 3"):
        InContextProbe(every=1).attach(3)
    training = trainer(base, tmp_path / "out")
    training.is_fsdp_enabled = True
    with pytest.raises(ValueError, match="must have whole weights in each process"):
        InContextProbe(every=1).attach(training)
    with pytest.raises(ValueError, match="must join its trainer"):
        trainer(base, tmp_path / "out", InContextProbe(every=1)).train()
