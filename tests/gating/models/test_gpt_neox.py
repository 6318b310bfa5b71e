"""Decoders of urns beside the `transformers` GPT-NeoX with the same weights: equal logits both ways."""

import builtins
import json
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import pad
from transformers import AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM

from gating.models.decoder import UrnDecoder
from gating.models.gpt_neox import FORM, load_gpt_neox, save_gpt_neox
from gating.models.layers import generators
from gating.runs.files import FolderError
from gating.studies.strategies.families import every_draw_log_loss
from gating.tasks.urns import Urns
from gating.training.group import ReplicaGroup
from gating.training.schedule import TrainSettings

LENGTH, COLOURS = 24, 5
SHAPES = [
    {"depth": 1, "heads": 1, "width": 64, "mlp_factor": 4.0},
    {"depth": 3, "heads": 2, "width": 16, "mlp_factor": 1.5},
    {"depth": 2, "heads": 4, "width": 32, "mlp_factor": 0.5},
]


def _trained(shape, steps=30):
    """Two models after some steps of training, with every scale, shift and bias away from its initial value."""
    model = UrnDecoder(COLOURS, LENGTH, rngs=generators([0, 1]), **shape)
    settings = TrainSettings(steps=steps, batch_size=8, learning_rate=0.01)
    source = Urns([4, 8], [0, 1], dim=COLOURS, length=LENGTH)
    group = ReplicaGroup(2, model, source, settings, every_draw_log_loss)
    losses = group.advance(steps, threading.Event())
    assert (losses[-5:].mean(0) < losses[0]).all()
    assert all(parameter.flatten(1).std(1).min() > 1e-4 for parameter in model.parameters())
    return model


def _tokens(sequences):
    return pad(sequences.y[..., :-1], (1, 0), value=COLOURS)


def _sequences(count=6):
    return Urns([4], [7], dim=COLOURS, length=LENGTH).fresh(0, count)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_trained_model_has_equal_logits_in_transformers_and_comes_back_with_equal_bits(shape, tmp_path):
    model, sequences = _trained(shape), _sequences()
    twice = type(sequences)(*(part.expand(2, *part.shape[1:]) for part in sequences))
    ours = model.logits(twice).detach()
    for replica in (0, 1):
        folder = tmp_path / str(replica)
        save_gpt_neox(model, replica, folder)
        theirs = AutoModelForCausalLM.from_pretrained(folder)
        assert type(theirs) is GPTNeoXForCausalLM
        with torch.no_grad():
            logits = theirs(input_ids=_tokens(sequences)[0]).logits
        torch.testing.assert_close(logits, ours[replica], rtol=0, atol=1e-5)
        assert logits.std() > 0.3
        back = load_gpt_neox(folder)
        for name, parameter in back.named_parameters():
            assert torch.equal(parameter[0], model.state_dict()[name][replica]), name
        assert torch.equal(back.logits(sequences).detach()[0], load_gpt_neox(folder).logits(sequences).detach()[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_that_transformers_wrote_has_equal_logits_here(shape, tmp_path):
    width = shape["width"]
    config = GPTNeoXConfig(
        vocab_size=COLOURS + 1,
        hidden_size=width,
        num_hidden_layers=shape["depth"],
        num_attention_heads=shape["heads"],
        intermediate_size=int(shape["mlp_factor"] * width),
        max_position_embeddings=LENGTH,
        initializer_range=0.3,
        **FORM,
    )
    theirs = GPTNeoXForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    theirs.save_pretrained(tmp_path / "theirs")
    sequences = _sequences()
    with torch.no_grad():
        wanted = theirs(input_ids=_tokens(sequences)[0]).logits
        found = load_gpt_neox(tmp_path / "theirs").logits(sequences)[0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_float64_models_stay_so(tmp_path):
    model = UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([0])).double()
    torch.nn.init.normal_(model.embed.weight, generator=torch.Generator().manual_seed(0))  # more digits than float32
    save_gpt_neox(model, 0, tmp_path / "a")
    loaded = load_gpt_neox(tmp_path / "a")
    assert loaded.embed.weight.dtype == torch.float64
    assert bool((loaded.embed.weight == model.embed.weight).all())
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "a").dtype == torch.float64


@pytest.fixture
def saved(tmp_path):
    model = UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([0, 1]))
    save_gpt_neox(model, 0, tmp_path / "urns")
    return tmp_path / "urns"


@pytest.mark.parametrize("replica", [-1, 2, 0.0, True])
def test_a_replica_that_is_not_there_is_named_and_nothing_is_written(replica, tmp_path):
    model = UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([0, 1]))
    with pytest.raises(ValueError, match=r"^`replica` must be an integer .*; got "):
        save_gpt_neox(model, replica, tmp_path / "urns")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_as_it_is(saved, tmp_path):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    model = UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([5]))
    with pytest.raises(FolderError, match=r"^`folder` must be new or empty; '"):
        save_gpt_neox(model, 0, saved)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    (tmp_path / "empty").mkdir()
    save_gpt_neox(model, 0, tmp_path / "empty")
    assert {file.name for file in (tmp_path / "empty").iterdir()} == set(before) == {"config.json", "model.safetensors"}


def test_an_error_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("gating.models.gpt_neox.save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        save_gpt_neox(UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([0])), 0, tmp_path / "urns")
    assert list(tmp_path.iterdir()) == []


OTHER_FORMS = [
    ({"model_type": "llama"}, "`model_type` must be 'gpt_neox'; got 'llama'"),
    ({"use_parallel_residual": True}, "`use_parallel_residual` must be False; got True"),
    ({"attention_bias": True}, "`attention_bias` must be False; got True"),
    ({"hidden_act": "relu"}, "`hidden_act` must be 'gelu'; got 'relu'"),
    ({"layer_norm_eps": 1e-3}, "`layer_norm_eps` must be 1e-05; got 0.001"),
    ({"tie_word_embeddings": True}, "`tie_word_embeddings` must be False; got True"),
    ({"rope_parameters": None, "rotary_pct": 0.5}, "(`rotary_pct`|`rope_parameters`) must be .*0.25.*; got .*0.5"),
    ({"num_attention_heads": 4}, "`width` must be a multiple of 8 `heads` = 32; got 16"),
]


@pytest.mark.parametrize(("changes", "said"), OTHER_FORMS)
def test_a_folder_of_another_form_is_refused(saved, changes, said):
    settings = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(settings | changes))
    with pytest.raises(FolderError, match=rf"^`{saved}/config.json` cannot be read \(ValueError: {said}"):
        load_gpt_neox(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: t | {"embed_out.weight": t["embed_out.weight"][1:]},
            r"`embed_out.weight` must have shape \(6, 16\); got \(5",
        ),
        (lambda t: {k: v for k, v in t.items() if k != "embed_out.weight"}, r"they differ in \['embed_out.weight'\]"),
        (lambda t: t | {"adapter": torch.zeros(1)}, r"they differ in \['adapter'\]"),
    ],
)
def test_weights_of_another_shape_are_named(saved, change, said):
    save_file(change(load_file(saved / "model.safetensors")), saved / "model.safetensors")
    with pytest.raises(FolderError, match=rf"^`{saved}/model.safetensors` cannot be read .*{said}"):
        load_gpt_neox(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_or_missing_file_is_named(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FolderError, match=rf"^`{saved}/{name}` cannot be read"):
        load_gpt_neox(saved)
    (saved / name).unlink()
    with pytest.raises(FolderError, match=rf"^`{saved}/{name}` cannot be read"):
        load_gpt_neox(saved)


def test_without_transformers_the_extra_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "transformers":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"^GPT-NeoX folders need `transformers`: pip install 'icl-gating\[llm\]'$"):
        save_gpt_neox(UrnDecoder(COLOURS, LENGTH, width=16, rngs=generators([0])), 0, tmp_path / "urns")
    assert list(tmp_path.iterdir()) == []
