"""Training speed of the three task families' Transformers, beside the published loops on GPT-NeoX of `transformers`.

    python -m benchmarks.strategies [--shorter 1.0]     # about four minutes, on an otherwise idle machine

Shapes are the paper's: urns of 8 colours and 128 draws, batch 64, one block; linear regression of 8 features and 16
pairs, batch 128, 8 blocks; item labels of 8 features, 127 context pairs and a query, batch 64, one block. All blocks
have width 64 and one head. `ours` is the trainer with a single model, in three settings; of the urns also an ensemble
with one model for each of 11 task diversities, of which each step is counted as 11.

`published` is the usual loop: GPT-NeoX, the loss of one batch, gradients clipped to norm 1, AdamW (fused, as the
trainer's Adam is), on the same batches. Urns are read as tokens by its own embedding and answered by its own read-out.
Pairs (x, y) of a regression are read as tokens (0, x) and (y, 0) by a linear layer in place of the embedding
(`inputs_embeds`) and answered by another, with the squared error at every x. Items and labels are 2 L + 1 = 255
separate tokens, (x, 0) and (0, one-hot label), read and answered likewise, with the log loss at the last token; ours
reads an item and its label as one token, and `published, paired` is the loop with these 128 tokens, by which one sees
what of the ratio is due to the tokens. Where the function is the same, all start from the same weights, and the largest
difference of the first losses is printed. Published loops have either attention that `transformers` offers on a CPU and
either precision of float32 products, and the fastest of them is what ours is compared with.

Drawing the data is part of all. Everything runs on one thread, in alternating windows of one process; medians (range),
and ratios by the clock and by the processor's time, which does not grow when the machine is shared.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, one_hot, pad
from transformers import AutoModelForCausalLM, logging

from benchmarks.windows import Groups, Steps, System, alternating, table
from gating.models.decoder import Decoder, UrnDecoder
from gating.models.gpt_neox import save_gpt_neox
from gating.models.layers import generators
from gating.runs.precision import matmul_precision
from gating.runs.store import opened
from gating.studies.strategies.families import FAMILIES
from gating.training.schedule import TrainSettings
from gating.training.trainer import Trainer

DIM, TASKS, CLIP = 8, 64, 1.0
DIVERSITIES = [2**k for k in range(1, 12)]
SETTINGS = TrainSettings(steps=1, learning_rate=5e-4, max_grad_norm=CLIP)
MODES = {
    "float32": SETTINGS,
    "medium": replace(SETTINGS, matmul_precision="medium"),
    "bfloat16, compiled": replace(SETTINGS, matmul_precision="bfloat16", compiled=True),
}
DRAWN_AT_ONCE = 16
"""Steps whose batches the published loops draw together."""

Reader = Callable[[Tensor, Tensor], Tensor]
"""From inputs and labels of a batch to the tokens of a published loop."""


@dataclass(frozen=True)
class Setting:
    """A family at the paper's size, and how the published loops read it, by their names."""

    family: str
    length: int
    batch: int
    depth: int
    readers: dict[str, Reader]
    same: str
    """The reader with which the published loop computes the function of ours."""

    def decoder(self) -> Decoder:
        """Our model."""
        return FAMILIES[self.family].decoder(DIM, self.length, depth=self.depth, rngs=generators([0]))

    def source(self, diversities: list[int]) -> Any:
        """Training batches, of a replica for each task diversity."""
        return FAMILIES[self.family].sampler(diversities, [0] * len(diversities), dim=DIM, length=self.length)

    def ours(self, diversities: list[int], settings: TrainSettings) -> Groups:
        """A model for each task diversity, each a group of its own."""
        told, loss = replace(settings, batch_size=self.batch), FAMILIES[self.family].objective
        with TemporaryDirectory() as folder, opened(folder, {}) as place:
            return Groups(
                [
                    Trainer(place, [d], lambda mine: self.decoder(), lambda mine: self.source([*mine]), told, loss=loss)
                    for d in diversities
                ]
            )


def draws(x: Tensor, y: Tensor) -> Tensor:
    """A start token and the draws but the last: (B, T), integers."""
    return pad(y[:, :-1], (1, 0), value=DIM)


def interleaved(x: Tensor, y: Tensor) -> Tensor:
    """(0, x_1), (y_1, 0), ..., (0, x_T): (B, 2 T - 1, 1 + m)."""
    return torch.stack([pad(x, (1, 0)), pad(y.unsqueeze(-1), (0, DIM))], dim=2).flatten(1, 2)[:, :-1]


def separate(x: Tensor, y: Tensor) -> Tensor:
    """(x_1, 0), (0, one-hot y_1), ..., (x, 0): (B, 2 L + 1, m + 2)."""
    return torch.stack([pad(x, (0, 2)), pad(one_hot(y, 2).float(), (DIM, 0))], dim=2).flatten(1, 2)[:, :-1]


def paired(x: Tensor, y: Tensor) -> Tensor:
    """(x_1, one-hot y_1), ..., (x, 0): (B, L + 1, m + 2)."""
    return torch.cat([x, pad(one_hot(y[:, :-1], 2).float(), (0, 0, 0, 1))], dim=-1)


SEPARATE: dict[str, Reader] = {"published": separate, "published, paired": paired}
SIZES = (
    Setting("urns", 128, 64, 1, {"published": draws}, "published"),
    Setting("linear_regression", 16, 128, 8, {"published": interleaved}, "published"),
    Setting("item_labels", 128, 64, 1, SEPARATE, "published, paired"),
)


class Published(nn.Module):
    """GPT-NeoX with our weights, between linear layers where its tokens are not integers.

    Args:
        decoder: our model.
        length: longest sequence of tokens.
        attention: the name of `transformers`.
    """

    model: Any
    embed: nn.Linear
    read_out: nn.Linear

    def __init__(self, decoder: Decoder, length: int, attention: str):
        super().__init__()
        self.own = isinstance(decoder, UrnDecoder)
        trunk = decoder
        if not isinstance(trunk, UrnDecoder):
            trunk = UrnDecoder(2, length, depth=len(decoder.blocks), rngs=generators([0]))
        trunk.blocks.load_state_dict(decoder.blocks.state_dict())
        trunk.norm.load_state_dict(decoder.norm.state_dict())
        with TemporaryDirectory() as folder:
            save_gpt_neox(trunk, 0, Path(folder) / "model")
            model = AutoModelForCausalLM.from_pretrained(Path(folder) / "model", attn_implementation=attention)
        self.model = model if self.own else model.gpt_neox
        if not self.own:
            self.embed, self.read_out = linear(decoder.embed.weight[0]), linear(decoder.read_out.weight[0])

    def forward(self, tokens: Tensor) -> Tensor:
        """Answers at every token, (B, T, n)."""
        if self.own:
            logits: Tensor = self.model(input_ids=tokens, use_cache=False).logits
            return logits[..., :DIM]
        stream = self.model(inputs_embeds=self.embed(tokens), use_cache=False).last_hidden_state
        answers: Tensor = self.read_out(stream)
        return answers


def linear(weight: Tensor) -> nn.Linear:
    """A layer of torch from our weights, (n_in, n_out)."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=False)
    layer.weight.data.copy_(weight.detach().T)
    return layer


def loss_of(family: str, answers: Tensor, y: Tensor) -> Tensor:
    """What the published loops minimise."""
    if family == "urns":
        return cross_entropy(answers.flatten(0, 1), y.flatten())
    if family == "linear_regression":
        return mse_loss(answers[:, ::2, 0], y)
    return cross_entropy(answers[:, -1], y[:, -1])


def published(setting: Setting, reader: Reader, attention: str, precision: str) -> Steps:
    """A published loop; its steps return their losses."""
    source, done, batch = setting.source([TASKS]), 0, setting.batch
    model = Published(setting.decoder(), 2 * setting.length - 1, attention).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=SETTINGS.learning_rate, weight_decay=0.0, fused=True)

    def steps(count: int) -> list[float]:
        nonlocal done
        losses = []
        with matmul_precision(precision):
            for first in range(done, done + count, DRAWN_AT_ONCE):
                drawn = source.batches(first, min(DRAWN_AT_ONCE, done + count - first), batch)
                for x, y in zip(drawn.x[0].split(batch), drawn.y[0].split(batch), strict=True):
                    loss = loss_of(setting.family, model(reader(x, y)), y)
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                    optimizer.step()
                    losses.append(loss.item())
        done += count
        return losses

    return steps


def systems(setting: Setting) -> dict[str, System]:
    """All that is timed of a family, by its name."""
    found = {
        f"{name}, {attention}, {precision}": System(published(setting, reader, attention, precision))
        for name, reader in setting.readers.items()
        for attention in ("sdpa", "eager")
        for precision in ("highest", "medium")
    }
    found |= {f"ours, {mode}": System(setting.ours([TASKS], settings)) for mode, settings in MODES.items()}
    if setting.family == "urns":
        found["ours, medium, ensemble of 11"] = System(setting.ours(DIVERSITIES, MODES["medium"]), len(DIVERSITIES))
    return found


def report(setting: Setting, shorter: float) -> Iterator[str]:
    """What is printed of a family."""
    timed = systems(setting)
    parameters = sum(parameter.numel() for parameter in setting.decoder().parameters())
    yield f"\n{setting.family}: {parameters:,} parameters, batch {setting.batch}, length {setting.length}."
    same = [name for name in timed if is_of(name, setting.same) and name.endswith("highest")]
    losses = torch.tensor([timed[name].steps(3) for name in (*same, "ours, float32")])
    apart = float((losses - losses[-1]).abs().max())
    yield f"First losses of `{setting.same}` differ from those of `ours, float32` by at most {apart:.0e}.\n"
    rates = alternating(timed, shorter)
    best = {reader: rates.fastest(name for name in timed if is_of(name, reader)) for reader in setting.readers}
    head = [
        "system",
        "model-steps/s",
        *(text for reader in setting.readers for text in (f"/ {reader}", "by processor")),
    ]
    beside = {name: [text for to in best.values() for text in rates.ratios(name, to)] for name in timed}
    yield table(head, ([name, rates.rate(name), *beside[name]] for name in timed))


def is_of(name: str, reader: str) -> bool:
    """Whether a system is a published loop with this reader."""
    return name.startswith((f"{reader}, sdpa", f"{reader}, eager"))


def main() -> None:
    """Times the systems of each family and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shorter", type=float, default=1.0, help="share of the windows' length, for a quick look")
    parser.add_argument("--families", nargs="+", default=[setting.family for setting in SIZES], metavar="FAMILY")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    print(f"One thread, torch {torch.__version__}; medians (range).")
    for setting in SIZES:
        if setting.family in options.families:
            for line in report(setting, options.shorter):
                print(line, flush=True)


if __name__ == "__main__":
    main()
