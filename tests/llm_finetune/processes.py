"""Processes of a test, as `torchrun` starts them, but from a server that has imported everything already."""

import multiprocessing
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

import torch
from torch.distributed import TCPStore

PRELOADED = ["llm_finetune.bench", "llm_finetune.study", "gating.cli", "gating.runs.engine", "processes"]


def together(folder: Path, work, *given, n: int = 2, seconds: float = 60) -> tuple[list[int | None], list[str]]:
    """Calls `work(rank, *given)` in n processes that know of each other; their exit codes, and what each one says.

    Those that have not ended after some seconds are ended, and their code is negative.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as of torchrun, it outlives them
    files = [folder / f"said-{rank}.txt" for rank in range(n)]
    started = [
        context.Process(target=_begin, args=(rank, files[rank], n, store.port, work, given)) for rank in range(n)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(seconds)
        process.kill()
        process.join()
    return [process.exitcode for process in started], [file.read_text(encoding="utf-8") for file in files]


def _begin(rank: int, file: Path, n: int, port: int, work, given) -> None:
    torch.set_num_threads(1)
    found = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "MASTER_PORT": port}
    found |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": True, "OMP_NUM_THREADS": 1}
    os.environ.update({name: str(value) for name, value in found.items()})
    with file.open("w", encoding="utf-8", buffering=1) as said, redirect_stdout(said), redirect_stderr(said):
        code = work(rank, *given)
    sys.exit(code)


def command(rank: int, arguments: list[str]) -> int:
    """The command."""
    from gating.cli import main

    return main(arguments)


def failing_command(rank: int, arguments: list[str], who: int, how: str, after: int) -> int:
    """The command, in which one process fails when it has measured a model some times."""
    from llm_finetune import shared

    measured, times = shared.answer_records, iter(range(1000))

    def measure(*given, **named):
        if rank == who and next(times) == after:
            if how == "killed":
                os._exit(9)
            raise ValueError("the disk of this process is on fire")
        return measured(*given, **named)

    shared.answer_records = measure
    return command(rank, arguments)


def diverging_command(rank: int, arguments: list[str]) -> int:
    """The command, with a loss that is not finite on the last process alone."""
    module = import_module("llm_finetune.finetune")
    loss = module.answer_loss

    def broken(*given, **named):
        return loss(*given, **named) * (float("nan") if rank else 1.0)

    module.answer_loss = broken
    return command(rank, arguments)


def fine_tuned(rank: int, folder: Path, seed: int, source: str) -> int:
    """`finetune` as a function in a folder of its own."""
    from gating.runs.errors import FolderError
    from llm_finetune.finetune import finetune
    from llm_finetune.models import load_model
    from llm_finetune.prompts import Example
    from llm_finetune.settings import FinetuneSettings

    examples = [Example("Liz?", "London"), Example("Tom?", "Warsaw"), Example("Ann?", "Rome")]
    settings = FinetuneSettings(steps=4, batch_size=3, learning_rate=1e-2, precision="float32")
    try:
        tuned = finetune(*load_model(source), examples, settings, seed=seed, folder=folder, say=print)
    except FolderError as error:
        print(f"refused: {error}")
        return 3
    print(f"sum {sum(p.detach().double().abs().sum().item() for p in tuned.parameters()):.6f}")
    return 0
