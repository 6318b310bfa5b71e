"""One reader: messages that are anything, moves that are dropped, and a coarse map before a slow one."""

import asyncio
import json

import pytest
from apart import apart

from gating.explore.pool import TookTooLongError
from gating.explore.session import Session


class Ready:
    """Answers at once, or never, and notes what it was asked."""

    seconds = 3.0

    def __init__(self, hold=False, slow=()):
        self.asked, self.hold, self.slow = [], hold, slow

    def knows(self, key):
        return False

    async def ask(self, key, work, *given):
        self.asked.append(key)
        await asyncio.sleep(3600 if self.hold else 0)
        if key[0] in self.slow:
            raise TookTooLongError
        return json.dumps({"said": [str(key[0])]})


def told(pool, *messages, runs=()):
    """What the browser is told after it has said something."""
    heard = []

    async def body():
        session = Session(pool, runs, heard.append)
        for message in messages:
            session.hear(message)
            await asyncio.sleep(0.01)
            tasks = {*filter(None, [session._working]), *session._exporting}
            if tasks and not getattr(pool, "hold", False):
                await asyncio.wait(tasks, timeout=60)
        session.end()

    apart(body())
    return heard


@pytest.mark.parametrize(
    "message",
    [None, 7, "x", [], {"turn": 1, "a": "x"}, {"turn": 1, "a": {"beta": 3}}, {"turn": 1, "a": {"k": "v"}},
     {"turn": 1, "a": {str(i): "1" for i in range(200)}}, {"turn": [], "a": {"beta": "-1"}, "b": 3},
     {"export": "map", "form": "csv"}, {"export": "../etc", "form": "yaml", "setting": {}},
     {"export": "map", "form": "exe", "setting": {}}],
)  # fmt: skip
def test_whatever_the_browser_says_there_is_no_error_and_nothing_is_computed(message):
    pool = Ready()
    heard = told(pool, message)
    assert pool.asked == []
    assert all(each.get("done") or any(each.get("problems", {}).values()) or each.get("refused") for each in heard)


def test_every_part_is_shown_once_maps_first_and_only_what_changes_again():
    pool = Ready()
    start, other = {"turn": 1, "a": {}, "b": {"beta": "2"}}, {"turn": 2, "a": {"n_sequences": "50"}, "b": {"beta": "2"}}
    heard = told(pool, start, other)
    found = [(each["turn"], each["side"], each["part"]) for each in heard if "found" in each]
    first = [(1, side, part) for part in ("map", "curves", "kinetics") for side in "ab"]
    assert found == [*first, (2, "a", "kinetics")]
    assert [each["turn"] for each in heard if each.get("done")] == [1, 2]
    assert heard[0]["texts"]["b"]["beta"] == "2.0"


def test_a_new_move_drops_the_work_on_former_ones():
    pool = Ready(hold=True)
    heard = told(pool, *({"turn": turn, "a": {"beta": str(turn)}} for turn in range(1, 6)))
    assert len(pool.asked) == 5
    assert not [each for each in heard if each.get("done") or "found" in each]


def test_a_slow_map_is_coarse_first_and_one_that_fails_is_not_tried_again():
    noisy = {"turn": 1, "a": {"inputs": "noisy", "squared_distance": "null"}}
    pool = Ready()
    told(pool, noisy)
    assert [key[0] for key in pool.asked] == ["map", "map", "curves", "kinetics"]
    assert [key[-1] == "coarse" for key in pool.asked[:2]] == [True, False]
    pool = Ready(slow=("map",))
    heard = told(pool, noisy)
    assert [key[0] for key in pool.asked] == ["map", "curves", "kinetics"]
    refused = next(json.loads(each["found"])["refused"][0] for each in heard if each.get("part") == "map")
    assert refused.startswith("This setting takes longer than 3 s")


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), ZeroDivisionError("division by zero")])
def test_whatever_goes_wrong_is_said_and_the_other_parts_are_answered(error):
    class Failing(Ready):
        async def ask(self, key, work, *given):
            if key[0] in ("map", "export"):
                raise error
            return await super().ask(key, work, *given)

    export = {"export": "map", "form": "csv", "side": "a", "setting": {}}
    heard = told(Failing(), {"turn": 1, "a": {}}, export)
    assert json.loads(heard[1]["found"])["refused"]
    assert [each["part"] for each in heard if "found" in each] == ["map", "curves", "kinetics"]
    assert [each["turn"] for each in heard if each.get("done")] == [1]
    assert heard[-1]["refused"]


def test_an_export_is_sent_to_who_asks():
    heard = told(Ready(), {"export": "curves", "form": "yaml", "side": "b", "setting": {"beta": "3"}})
    assert [(each["export"], each["form"], each["side"]) for each in heard] == [("curves", "yaml", "b")]
    assert "text" in heard[0]
