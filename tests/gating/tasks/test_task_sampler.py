"""What the three task families share beyond the contract of tasks: fresh sequences at every step, every task drawn."""

import numpy as np
import pytest
import torch

from gating.tasks.item_labels import ItemLabels
from gating.tasks.linear_regression import LinearRegression
from gating.tasks.urns import Urns

SAMPLERS = [Urns, LinearRegression, ItemLabels]
REPLICAS = ([4, 32, 7], [0, 5, 2**63])


def _sampler(kind, rows=slice(None)):
    return kind(REPLICAS[0][rows], REPLICAS[1][rows], dim=4, length=24)


def _rows(sequences):
    """Every sequence of the first replica as bytes."""
    parts = [sequences.x[0].double().flatten(1), sequences.y[0].double().flatten(1)]
    return [row.tobytes() for row in torch.cat(parts, dim=1).numpy()]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_no_sequence_of_training_comes_twice_or_is_an_evaluation_sequence(kind):
    sampler = _sampler(kind)
    training = _rows(sampler.batches(0, 100, 10))
    evaluation = [row for seed in (0, 1) for row in _rows(sampler.fresh(seed, 500))]
    unseen = _rows(sampler.fresh(0, 500, unseen=True))
    together = training + evaluation + unseen
    assert len(set(together)) == len(together) == 2500
    assert _rows(sampler.fresh(0, 500)) == evaluation[:500]
    assert _rows(sampler.fresh(0, 20)) == evaluation[:20]


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_training_task_and_no_other_is_drawn(kind):
    sampler = _sampler(kind)
    for r, diversity in enumerate(REPLICAS[0]):
        for sequences in (sampler.batches(0, 10, 100), sampler.fresh(0, 1000)):
            assert np.unique(sequences.classes[r].numpy()).tolist() == list(range(diversity))


BAD = [
    ({"n_tasks": [0]}, r"`n_tasks` must be one or more integers in 1 \.\. 2\^20; got 0"),
    ({"n_tasks": [2**20 + 1]}, r"`n_tasks` must be one or more integers in 1 \.\. 2\^20; got 1048577"),
    ({"n_tasks": [2.0]}, r"`n_tasks` must be one or more integers in 1 \.\. 2\^20; got 2\.0"),
    ({"n_tasks": [True]}, r"`n_tasks` must be one or more integers in 1 \.\. 2\^20; got True"),
    ({"n_tasks": [2, 3]}, "`n_tasks` and `data_seeds` must have one entry per replica; got 2 and 1"),
    ({"n_tasks": [], "data_seeds": []}, r"`n_tasks` must be one or more integers in 1 \.\. 2\^20; got \[\]"),
    (
        {"data_seeds": [2**64]},
        r"`data_seeds` must be one or more integers in -2\^63 \.\. 2\^64 - 1; got 18446744073709551616",
    ),
    ({"data_seeds": [0.5]}, r"`data_seeds` must be one or more integers in -2\^63 \.\. 2\^64 - 1; got 0\.5"),
    ({"dim": 1}, "`dim` must be an integer >= 2; got 1"),
    ({"dim": 2.5}, r"`dim` must be an integer >= 2; got 2\.5"),
    ({"length": 0}, "`length` must be an integer >= 1; got 0"),
]


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize(("changes", "sentence"), BAD)
def test_bad_arguments_are_named(kind, changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        kind(**{"n_tasks": [4], "data_seeds": [0], "dim": 4, "length": 8} | changes)


@pytest.mark.parametrize("kind", SAMPLERS)
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: s.batches(-1, 1, 1), r"`first_step` must be an integer in 0 \.\. 2\^32; got -1"),
        (lambda s: s.batches(0, 0, 1), "`n_steps` must be an integer >= 1; got 0"),
        (lambda s: s.batches(0, 1, 1.0), r"`batch_size` must be an integer >= 1; got 1\.0"),
        (lambda s: s.fresh(2**63, 1), r"`seed` must be an integer in -2\^63 \.\. 2\^63 - 1; got 9223372036854775808"),
        (lambda s: s.fresh(0, 0), "`count` must be an integer >= 1; got 0"),
    ],
)
def test_bad_requests_are_named(kind, call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        call(_sampler(kind))
