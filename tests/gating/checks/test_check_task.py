"""Tasks with one fault each: the check meant for it sees it, and says what it saw."""

import re

import pytest
import torch

from gating.checks import TASK_CONTRACT, ContractBroken, check_task
from gating.tasks.sequences import Sequences
from gating.tasks.urns import Urns

COLOURS = 4
FAULTS = {}


class Sound(Urns):
    """Urns whose sequences also have inputs."""

    def __init__(self, seeds):
        super().__init__([5] * len(seeds), seeds, dim=COLOURS, length=6)

    def _draw(self, keys, *, unseen):
        drawn = super()._draw(keys, unseen=unseen)
        return drawn._replace(x=(drawn.y[..., None] == torch.arange(COLOURS)).float(), classes=drawn.classes.clone())


def fault(check, seen):
    """A class with a fault, the check that is to see it, and a pattern of what it says."""
    return lambda task: FAULTS.setdefault(task.__name__, (task, check, seen))


@fault("is_a_task", "Lonely with 1 replicas for 3 data seeds")
class Lonely(Sound):
    def __init__(self, seeds):
        super().__init__(seeds[:1])


@fault("is_a_task", r"`batches` of shape \(12, 6\) in y")
class DropsReplicas(Sound):
    def batches(self, first_step, n_steps, batch_size):
        return Sequences(*(field[0] for field in super().batches(first_step, n_steps, batch_size)))


@fault("is_a_task", r"`fresh` with x, y and classes of shapes .*\(3, 12\)\]")
class NamesOneClass(Sound):
    def fresh(self, seed, count):
        drawn = super().fresh(seed, count)
        return drawn._replace(classes=drawn.query_class)


@fault("fields_have_their_types", "y of torch.float32 in `batches`, n_labels being 4")
class LabelsAreFloats(Sound):
    def _draw(self, keys, *, unseen):
        drawn = super()._draw(keys, unseen=unseen)
        return drawn._replace(y=drawn.y.float())


@fault("fields_have_their_types", "torch.float32 .* in training and torch.float64 .* in tests")
class TestsInDoublePrecision(Sound):
    def fresh(self, seed, count):
        drawn = super().fresh(seed, count)
        return drawn._replace(x=drawn.x.double())


@fault("values_are_in_range", r"labels from 1 to 4 in `batches`")
class CountsLabelsFromOne(Sound):
    def _draw(self, keys, *, unseen):
        drawn = super()._draw(keys, unseen=unseen)
        return drawn._replace(y=drawn.y + 1)


@fault("values_are_in_range", r"36 values of x that are not finite in `fresh`")
class GivesNaN(Sound):
    def fresh(self, seed, count):
        drawn = super().fresh(seed, count)
        drawn.x[:, :2, :, 0] = torch.nan
        return drawn


@fault("a_sequence_is_of_its_place", "steps of 4: other x, y than in one batch of 12")
class DependsOnTheBatch(Sound):
    def batches(self, first_step, n_steps, batch_size):
        drawn = super().batches(first_step, n_steps, batch_size)
        return drawn._replace(y=(drawn.y + batch_size // 4) % COLOURS, x=drawn.x.roll(batch_size // 4, -1))


@fault("a_sequence_is_of_its_place", "other x, y.* than in one batch of 12")
class GoesOnFromTheLastCall(Sound):
    at = 0

    def batches(self, first_step, n_steps, batch_size):
        self.at += n_steps * batch_size
        return super().batches((self.at - n_steps * batch_size) // batch_size, n_steps, batch_size)


@fault("the_seed_decides", "torch's global source of chance has been drawn from")
class DrawsFromGlobalChance(Sound):
    def _draw(self, keys, *, unseen):
        drawn = super()._draw(keys, unseen=unseen)
        return drawn._replace(x=drawn.x + torch.randn(drawn.x.shape))


@fault("the_seed_decides", r"other y in `batches` of a second task of the same seeds")
class CountsItsInstances(Sound):
    made = 0

    def __init__(self, seeds):
        super().__init__(seeds)
        type(self).made += 1
        self.number = self.made

    def batches(self, first_step, n_steps, batch_size):
        drawn = super().batches(first_step, n_steps, batch_size)
        return drawn._replace(y=(drawn.y + self.number) % COLOURS)


@fault("seeds_and_steps_differ", "the same sequences in `batches` for data seeds 3 and 0")
class IgnoresItsSeed(Sound):
    def __init__(self, seeds):
        super().__init__([0] * len(seeds))


@fault("seeds_and_steps_differ", "the same sequences at steps 0 and 1")
class GivesOneBatchForEver(Sound):
    def batches(self, first_step, n_steps, batch_size):
        super().batches(first_step, n_steps, batch_size)
        return super().batches(0, n_steps, batch_size)


@fault("seeds_and_steps_differ", "the same test sets for seeds 0 and 1")
class IgnoresTheTestSeed(Sound):
    def fresh(self, seed, count):
        super().fresh(seed, count)
        return super().fresh(0, count)


@fault("replicas_are_independent", "other x, y in `batches` of data seed 3 alone")
class DependsOnOtherReplicas(Sound):
    def _draw(self, keys, *, unseen):
        drawn = super()._draw(keys, unseen=unseen)
        return drawn._replace(y=(drawn.y + self.n_replicas) % COLOURS, x=drawn.x.roll(self.n_replicas, -1))


@fault("tests_begin_alike", r"other .*y.* in a test set of 4 than at the beginning of one of 12")
class SortsItsTests(Sound):
    def fresh(self, seed, count):
        drawn = super().fresh(seed, count)
        order = drawn.y.flatten(2).sum(-1).argsort(-1)[0]
        return Sequences(*(field[:, order] for field in drawn))


@fault("tests_are_no_training", "the test set of seed 0 is the batch of step 0")
class TestsOnTrainingBatches(Sound):
    def fresh(self, seed, count):
        super().fresh(seed, count)
        return self.batches(abs(seed), 1, count)


@fault("what_is_drawn_is_not_kept", "other x, y, classes in `batches` after what was drawn was written to")
class HandsOutItsCache(Sound):
    def __init__(self, seeds):
        super().__init__(seeds)
        self.cache = {}

    def batches(self, *asked):
        if asked not in self.cache:
            self.cache[asked] = super().batches(*asked)
        return self.cache[asked]


@fault("bad_requests_are_refused", "first_step = -1 is not refused by name")
class TakesNegativeSteps(Sound):
    def batches(self, first_step, n_steps, batch_size):
        return super().batches(first_step if isinstance(first_step, str) else abs(first_step), n_steps, batch_size)


@fault("bad_requests_are_refused", r"seed = 0\.5 is not refused by name")
class RoundsTheTestSeed(Sound):
    def fresh(self, seed, count):
        return super().fresh(int(seed) if isinstance(seed, float) else seed, count)


def test_the_task_without_a_fault_is_sound():
    check_task(Sound, n_labels=COLOURS)


@pytest.mark.parametrize(("task", "check", "seen"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_seen_by_the_check_meant_for_it(task, check, seen):
    with pytest.raises(ContractBroken) as caught:
        check_task(task, n_labels=COLOURS)
    sentence = TASK_CONTRACT.sentences[check]
    assert re.search(f"(?m)^{check}: {re.escape(sentence)} Seen: .*{seen}", str(caught.value)), caught.value


def test_every_check_has_a_fault_that_it_sees():
    assert {check for _, check, _ in FAULTS.values()} == set(TASK_CONTRACT.sentences)


def test_numbers_are_asked_for_where_there_are_no_labels():
    with pytest.raises(ContractBroken, match=r"y of torch\.int64 in `batches`, n_labels being None"):
        check_task(Sound)


@pytest.mark.parametrize("bad", [0, 2.0, "two"])
def test_the_number_of_labels_is_checked(bad):
    with pytest.raises(ValueError, match="`n_labels` must be an integer >= 1"):
        check_task(Sound, n_labels=bad)
