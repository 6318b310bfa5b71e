"""One reader of the explorer: what the browser asks, what it is told, and what is no longer worth an answer."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gating.explore.laid import laid_over
from gating.explore.parts import FORMS, exported, refused, shown, words
from gating.explore.pool import Pool, TookTooLongError
from gating.explore.setting import (  # fmt: skip
    PARTS,
    Setting,
    bounds_of,
    is_slow,
    kinetics_of,
    map_of,
    read_setting,
    texts_of,
    without_point,
)
from theory.settings import SpecError

__all__ = ["SIDES", "Session"]

SIDES = ("a", "b")
"""The setting, and another one beside it."""

Message = dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """Something that a side shows: which part, of which settings, and whether of a few points alone."""

    side: str
    part: str
    key: tuple[Any, ...]
    setting: Setting
    coarse: bool = False


class Session:
    """What one browser tab asks for.

    Args:
        pool: where answers come from, which all sessions share.
        runs: folders of runs that are laid over theory.
        tell: sends a message to the browser.
    """

    def __init__(self, pool: Pool, runs: Sequence[str], tell: Callable[[Message], None]):
        self._pool, self._runs, self._tell = pool, runs, tell
        self._told: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._working: asyncio.Task[None] | None = None
        self._exporting: set[asyncio.Task[None]] = set()

    def hear(self, message: Any) -> None:
        """Takes a message of the browser, which may be anything; work on former moves is dropped."""
        if not isinstance(message, Mapping):
            return
        if message.get("export"):
            exporting = asyncio.ensure_future(self._export(message))
            self._exporting.add(exporting)
            exporting.add_done_callback(self._exporting.discard)
            return
        if self._working and not self._working.done():
            self._working.cancel()
        turn = message.get("turn")
        settings, problems = {}, {}
        for side in SIDES:
            given = message.get(side)
            if given is None:
                self._told = {place: key for place, key in self._told.items() if place[0] != side}
                continue
            try:
                settings[side] = read_setting(_texts(given))
            except SpecError as error:
                problems[side] = error.problems[:8]
        self._tell({"turn": turn, "problems": problems, "texts": {s: texts_of(held) for s, held in settings.items()}})
        self._working = asyncio.ensure_future(self._answer(turn, settings))

    async def _answer(self, turn: Any, settings: Mapping[str, Setting]) -> None:
        """Answers part by part: maps first, and of a slow map a coarse one before."""
        jobs = [job for part in (*PARTS, "runs") for side in settings for job in self._jobs(side, part, settings[side])]
        failed = set()
        for job in jobs:
            place = job.side, job.part
            if self._told.get(place) == job.key or place in failed:
                continue
            try:
                found = await self._pool.ask(job.key, *self._work(job))
            except Exception as error:
                failed.add(place)
                found = json.dumps({"refused": self._refused(error)})
            self._told[place] = job.key
            self._tell({"turn": turn, "side": job.side, "part": job.part, "found": found})
        self._tell({"turn": turn, "done": True})

    def _jobs(self, side: str, part: str, setting: Setting) -> list[_Job]:
        if part == "runs":
            return [_Job(side, part, (part, _curve_key(setting)), setting)] if self._runs else []
        if part == "map":
            config = map_of(setting)
            key = (part, without_point(config))
            whole = _Job(side, part, key, setting)
            if is_slow(config) and self._told.get((side, part)) != key and not self._pool.knows(key):
                return [_Job(side, part, (*key, "coarse"), setting, coarse=True), whole]
            return [whole]
        return [
            _Job(
                side, part, (part, _curve_key(setting) if part == "curves" else _config(kinetics_of, setting)), setting
            )
        ]

    def _work(self, job: _Job) -> tuple[Any, ...]:
        if job.part == "runs":
            return laid_over, tuple(self._runs), job.setting
        return show, job.part, job.setting, job.coarse

    async def _export(self, message: Mapping[str, Any]) -> None:
        """Sends a part as text."""
        part, form, side = (str(message.get(name)) for name in ("export", "form", "side"))
        reply = {"export": part, "form": form, "side": side, "turn": message.get("turn")}
        try:
            if part not in PARTS or form not in (*FORMS, "csv"):
                raise SpecError([f"`export` must be one of {PARTS}; got {part[:50]!r}"])
            setting = read_setting(_texts(message.get("setting")))
            text = await self._pool.ask(("export", part, form, setting), export, part, form, setting)
            self._tell({**reply, "text": text})
        except Exception as error:
            self._tell({**reply, "refused": self._refused(error)})

    def _refused(self, error: Exception) -> list[str]:
        if isinstance(error, TookTooLongError):
            return [words().said["too_long"].format(seconds=f"{self._pool.seconds:g}")]
        return refused(error)

    def end(self) -> None:
        """Drops what is still asked for."""
        for task in (*filter(None, [self._working]), *self._exporting):
            task.cancel()


def show(part: str, setting: Setting, coarse: bool) -> str:
    """`shown`, for a process of the pool."""
    return shown(part, setting, coarse=coarse)


def export(part: str, form: str, setting: Setting) -> str:
    """`exported`, for a process of the pool."""
    return exported(part, form, setting)


def _curve_key(setting: Setting) -> Any:
    return _config(bounds_of, setting)


def _config(of: Callable[[Setting], Any], setting: Setting) -> Any:
    """Settings of a part, or the setting itself where they are refused."""
    try:
        return of(setting)
    except SpecError:
        return setting


def _texts(given: Any) -> dict[str, str]:
    """Settings as texts by name, as the browser sends them.

    Raises:
        SpecError: they are something else.
    """
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for pair in given.items() for text in pair):
        raise SpecError(["a setting must be texts by name"])
    return dict(given)
