"""Processes that compute for readers: what is asked twice is computed once, and nothing goes on for ever."""

import asyncio
import os
import signal
import time

import pytest
from apart import apart

from gating.explore.pool import Pool, TookTooLongError


def number(tag):
    return f"{tag} {os.getpid()} {time.monotonic_ns()}"


def sleep(seconds):
    time.sleep(seconds)
    return "slept"


def end(_):
    os._exit(3)


def fill(size):
    return str(len(bytearray(size)))


def fail(_):
    raise ValueError("`x` must be less")


@pytest.fixture
def pool():
    made = Pool(workers=1, seconds=1.5, kept=200, needs=__name__)
    yield made
    made.close()


def run(pool, body):
    async def with_time():
        return await asyncio.wait_for(body(pool), 300)

    return apart(with_time())


def test_one_pool_has_one_answer_for_all_and_outlives_what_goes_wrong(pool):
    """All in one loop, as starting a process takes seconds."""

    async def body(pool):
        first, second = await asyncio.gather(pool.ask("a", number, "a"), pool.ask("a", number, "a"))
        assert first == second == await pool.ask("a", number, "a")
        assert int(first.split()[1]) != os.getpid()
        with pytest.raises(ValueError, match="`x` must be less"):
            await pool.ask("bad", fail, 1)
        with pytest.raises(MemoryError):
            await pool.ask("large", fill, 2**33)
        for key, work in (("long", sleep), ("gone", end)):
            with pytest.raises(TookTooLongError):
                await pool.ask(key, work, 60)
            assert (await pool.ask(f"after {key}", number, "x")).startswith("x")
        assert await pool.ask("a", number, "a") == first

    run(pool, body)


class Counting:
    """A process that is always there, and counts what it is asked."""

    lives = True

    def __init__(self):
        self.asked = 0

    def answer(self, work, given, seconds):
        self.asked += 1
        time.sleep(0.1)
        return "found"


def test_a_question_that_is_dropped_and_asked_anew_is_computed_once():
    async def body():
        pool, worker = Pool(workers=0), Counting()
        first = asyncio.ensure_future(pool.ask("a", number, "a"))
        await asyncio.sleep(0)
        first.cancel()
        others = [asyncio.ensure_future(pool.ask("a", number, "a"))]
        for _ in range(5):
            await asyncio.sleep(0)
        others.append(asyncio.ensure_future(pool.ask("a", number, "a")))
        await asyncio.sleep(0)
        pool._idle.put_nowait(worker)
        assert await asyncio.gather(*others) == ["found", "found"]
        assert worker.asked == 1

    apart(body())


def test_at_the_end_nothing_is_waited_for(pool):
    """Neither by who ends the server, nor by threads that ask processes, nor by processes that are told to go on."""
    pool.seconds = 100

    async def body(pool):
        await pool.ask("warm", number, "w")
        long = asyncio.ensure_future(pool.ask("long", sleep, 100))
        await asyncio.sleep(0.3)
        pids = [worker._process.pid for worker in pool._workers]
        os.kill(pids[0], signal.SIGINT)  # as on a terminal
        await asyncio.sleep(0.3)
        assert not long.done()
        long.cancel()
        pool.close()

    start = time.monotonic()
    run(pool, body)
    assert time.monotonic() - start < 60


def test_what_nobody_waits_for_is_not_begun_and_what_is_kept_is_bounded(pool):
    async def body(pool):
        await pool.ask("warm", number, "w")
        long = asyncio.ensure_future(pool.ask("long", sleep, 1.0))
        await asyncio.sleep(0.2)
        dropped = [asyncio.ensure_future(pool.ask(("move", place), sleep, 1.4)) for place in range(20)]
        wanted = asyncio.ensure_future(pool.ask("last", number, "l"))
        await asyncio.sleep(0.1)
        start = time.monotonic()
        for task in dropped:
            task.cancel()
        assert (await wanted).startswith("l")
        assert await long == "slept"
        assert time.monotonic() - start < 15  # one after the other they take 28
        for place in range(30):
            await pool.ask(place, number, place)
        assert pool.knows(29)
        assert not pool.knows("warm")

    run(pool, body)
