"""Predictors with one fault each: the check meant for it sees it, and says what it saw."""

import re

import pytest
import torch

from gating.checks import PREDICTOR_CONTRACT, ContractBroken, check_learned_gate, check_predictor
from gating.gates.learned import LearnedGate
from gating.predictors.linear_regression import RegressionGeneralizer
from gating.predictors.urns import UrnGeneralizer
from gating.tasks.class_mixture import ClassMixtureSampler
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns
from theory.distribution import ClassMixture

SPEC = ClassMixture(dim=6, context_length=4)
C, SEEDS = SPEC.n_classes, [0, 1, 2]
LABELS = ClassMixtureSampler([SPEC] * 3, [1000] * 3, SEEDS).batches(0, 1, 20)
COLOURS = Urns([5] * 3, SEEDS, dim=4, length=7).batches(0, 1, 20)
LINES = LinearRegression([5] * 3, SEEDS, dim=4, length=7).batches(0, 1, 20)
KERNEL = torch.linspace(-1, 1, 6 * C).view(6, C)
FAULTS = {}


def sound(sequences):
    """Reads the query, as a linear model does, and counts the labels of the context."""
    counts = torch.nn.functional.one_hot(sequences.context_y, C).sum(-2)
    return (sequences.query @ KERNEL + counts).log_softmax(-1)


def fault(check, seen, sequences=LABELS, answers="label"):
    """A predictor with a fault, the check that is to see it, a pattern of what it says, and what it is asked."""
    return lambda predictor: FAULTS.setdefault(predictor.__name__, (predictor, check, seen, sequences, answers))


@fault("answers_have_their_shape", r"shape \(3, 20, 10, 1\), which is not \(3, 20\) and C")
def has_an_axis_too_many(sequences):
    return sound(sequences).unsqueeze(-1)


@fault("answers_have_their_shape", "torch.int64 on cpu")
def names_a_label(sequences):
    return torch.nn.functional.one_hot(sound(sequences).argmax(-1), C)


@fault("answers_are_in_range", r"probabilities that sum to 0\.99 .*")
def forgets_some_probability(sequences):
    return sound(sequences) + torch.tensor(0.99).log()


@fault("answers_are_in_range", "probabilities that sum to nan")
def answers_nan(sequences):
    return sound(sequences) * torch.nan


@fault("answers_are_in_range", "20 answers that are not finite", LINES, "every mean")
def divides_by_zero(sequences):
    means = RegressionGeneralizer(4)(sequences)
    means[0, :, 0] = torch.inf
    return means


@fault("what_is_predicted_is_hidden", "an answer that changes with y from position 5 of 5 on")
def looks_at_the_target(sequences):
    return (sound(sequences) + torch.nn.functional.one_hot(sequences.target, C)).log_softmax(-1)


@fault("what_is_predicted_is_hidden", "an answer that changes with y from position 1 of 7 on", COLOURS, "every label")
def looks_ahead(sequences):
    return UrnGeneralizer(4)(sequences).roll(-1, -2)


@fault("what_is_predicted_is_hidden", "an answer that changes with y", LINES, "every mean")
def smooths_backwards(sequences):
    means = RegressionGeneralizer(4)(sequences)
    return (means + means.roll(-1, -1)) / 2


@fault("classes_are_hidden", "an answer that changes with `classes`")
def looks_at_the_true_class(sequences):
    return (sound(sequences) + torch.nn.functional.one_hot(sequences.query_class, C)).log_softmax(-1)


@fault("sequences_are_independent", "another answer to a sequence alone than among others")
def normalises_over_the_batch(sequences):
    logits = sound(sequences)
    return (logits - logits.mean(1, keepdim=True)).log_softmax(-1)


@fault("sequences_are_independent", "other answers to the batch in reversed order")
def counts_places(sequences):
    place = torch.arange(sequences.y.shape[1]).view(1, -1, 1)
    return (sound(sequences) + place * torch.arange(C)).log_softmax(-1)


@fault("replicas_are_independent", "answers of the first replica that change with the sequences of the others")
def averages_over_replicas(sequences):
    logits = sound(sequences)
    return (logits + logits.mean(0, keepdim=True)).log_softmax(-1)


@fault("same_sequences_same_answers", "torch's global source of chance has been drawn from")
def draws_in_vain(sequences):
    torch.rand(1)
    return sound(sequences)


@fault("same_sequences_same_answers", "other answers to the same sequences")
def drops_out(sequences):
    return torch.nn.functional.dropout(sound(sequences), 0.1).log_softmax(-1)


class Learns:
    """Its answers move with every batch that it is asked."""

    seen = 0

    def __call__(self, sequences):
        self.seen += 1
        return (sound(sequences) * self.seen).log_softmax(-1)


FAULTS["learns"] = (Learns(), "same_sequences_same_answers", "other answers to the same sequences", LABELS, "label")


@fault("sequences_are_left_alone", r"`sequences\.x` is not as it was")
def centres_in_place(sequences):
    sequences.x.sub_(sequences.x.mean(-1, keepdim=True))
    return sound(sequences)


class HandsOutItsState:
    """Keeps the answers to each batch."""

    def __init__(self):
        self.kept = {}

    def __call__(self, sequences):
        return self.kept.setdefault(sequences.x.numpy().tobytes() + sequences.y.numpy().tobytes(), sound(sequences))


FAULTS["hands out its state"] = (
    HandsOutItsState(), "sequences_are_left_alone", "other answers after the first ones were written to", LABELS,
    "label",
)  # fmt: skip


@fault("nan_is_not_answered", "an answer without NaN to x = nan at position 5")
def takes_nan_for_zero(sequences):
    return sound(sequences._replace(x=sequences.x.nan_to_num()))


@fault("nan_is_not_answered", "an answer without NaN to x = inf at position 5")
def names_the_nearest_centre(sequences):
    distance = (sequences.query.unsqueeze(-2) - KERNEL.T).norm(dim=-1)
    return (-distance.clamp(max=1e3)).log_softmax(-1)


class Unbounded(LearnedGate):
    """A weight that is no probability."""

    def forward(self, sequences):
        return sequences.query.sum(-1)

    def alpha(self, sequences):
        return self(sequences) / 2


def test_predictors_without_a_fault_are_sound():
    check_predictor(sound, LABELS)
    check_predictor(UrnGeneralizer(4), COLOURS, answers="every label")
    check_predictor(RegressionGeneralizer(4), LINES, answers="every mean")


@pytest.mark.parametrize(("predictor", "check", "seen", "sequences", "answers"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen_by_the_check_meant_for_it(predictor, check, seen, sequences, answers):
    with pytest.raises(ContractBroken) as caught:
        check_predictor(predictor, sequences, answers=answers)
    sentence = PREDICTOR_CONTRACT.sentences[check]
    assert re.search(f"(?m)^{check}: {re.escape(sentence)} Seen: .*{seen}", str(caught.value)), caught.value


def test_every_check_has_a_fault_that_it_sees():
    assert {entry[1] for entry in FAULTS.values()} == set(PREDICTOR_CONTRACT.sentences)


def test_a_learned_gate_is_in_the_unit_interval():
    with pytest.raises(ContractBroken, match=r"^answers_are_in_range: .* Seen: weights from -\d.* to \d"):
        check_learned_gate(Unbounded(), LABELS)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`answers` must be one of"):
        check_predictor(sound, LABELS, answers="weight")
    with pytest.raises(ValueError, match="`sequences` must have y of shape"):
        check_predictor(sound, LABELS._replace(y=LABELS.y[:, :2]))
    with pytest.raises(ValueError, match="`gate` must be a LearnedGate"):
        check_learned_gate(torch.nn.ReLU(), LABELS)
