"""Settings of the comparison: what is refused and how it is named, and the replicas that follow from them."""

from dataclasses import replace

import pytest
from tiny_compare import tiny

from gating.studies.compare.systems import replicas_of
from gating.studies.replicas import TransformerShape
from theory.distribution import ClassMixture
from theory.settings import SpecError


def test_references_are_trained_on_contexts_that_are_never_and_always_relevant():
    replicas = replicas_of(tiny(), "transformer")
    assert [replica.distribution.p_relevant for replica in replicas] == [0.9] * 4 + [0.0] * 4 + [1.0] * 4
    assert [replace(r, distribution=replicas[0].distribution) for r in replicas] == tiny().replicas * 3


def test_every_problem_of_a_config_is_named_at_once():
    with pytest.raises(SpecError) as caught:
        tiny(
            n_seeds=0,
            n_sequences=(2, 64),
            cover_classes=True,
            gate_inputs="labels",
            hidden=0,
            transformer=TransformerShape(width=32),
        )
    assert len(caught.value.problems) == 5
    assert "`n_sequences` must be one or more integers in 4 .. 2^40; got [2, 64]" in caught.value.problems
    assert "`transformer.width` must equal `distribution.dim` = 16; got 32" in caught.value.problems


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"n_sequences": (64.0,)},
            r"`n_sequences` must be one or more different integers in 1 \.\. 2\^40; got \[64.0\]",
        ),
        ({"n_seeds": True}, "`n_seeds` must be an integer >= 1; got True"),
        ({"seed": 0.5}, r"`seed` must be an integer in 0 \.\. 2\^32 - 1; got 0.5"),
        (
            {"transformer": {"width": 16, "mlp_factor": float("inf")}},
            "`transformer.mlp_factor` must be a fin",
        ),
        ({"transformer": {"width": 16, "heads": 3}}, "`transformer.heads` must divide the width 16; got 3"),
        (
            {"distribution": ClassMixture(dim=15), "transformer": TransformerShape(width=15)},
            "`distribution.dim` must be even, as it is the width of the Transformer; got 15",
        ),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(fields, sentence):
    with pytest.raises(SpecError, match=f"^{sentence}"):
        tiny(**fields)


def test_as_many_heads_as_columns_are_allowed():
    assert tiny(transformer=TransformerShape(width=16, heads=16)).transformer.heads == 16


def test_replicas_have_their_own_seeds_and_share_initial_values_over_n():
    replicas = tiny(seed=7).replicas
    assert [(r.n_sequences, r.data_seed) for r in replicas] == [(16, 7), (16, 8), (64, 7), (64, 8)]
    assert replicas[0].init_seed == replicas[2].init_seed != replicas[1].init_seed
    assert tiny(init_seed=1).replicas[0].init_seed != tiny().replicas[0].init_seed
