"""A few steps of fine-tuning on four facts, and where a folder keeps its work."""

from pathlib import Path

from llm_finetune.prompts import Example
from llm_finetune.settings import FinetuneSettings

FACTS = [Example("Liz?", "London"), Example("Who is Wiesa?", "Lon"), Example("Tom?", "Warsaw"), Example("Ann?", "L")]
QUICK = FinetuneSettings(steps=6, batch_size=3, learning_rate=1e-2, precision="float32", save_every=2)


def quiet(line):
    pass


def kept(folder) -> Path:
    """Where a folder of its own keeps its work."""
    return folder / "parts" / "training"
