"""Every file of a run, damaged in every way and at every stage: it is named or harmlessly made again, never used."""

import functools
import random
import shutil

import pytest
from stops import contents

from gating import cli
from gating.runs import catalogue, identity

SEED = 0
FEW = ("--steps", "20", "--workers", "1")
STAGES = ("training", "measuring", "finished")


def _flip(content, rng):
    bad = bytearray(content)
    bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    return bytes(bad)


DAMAGE = {
    "flip": _flip,
    "truncate": lambda content, rng: content[: rng.randrange(len(content))],
    "empty": lambda content, rng: b"",
    "zero": lambda content, rng: bytes(len(content)),
}


def _page(page, table, settings, environment, command):
    return f"{page.figures[1]}{table.to_csv()}{settings}{environment}"


class _Stop(Exception):
    pass


@pytest.fixture
def stages(site, numbers, tmp_path, monkeypatch):
    """A whole run, and its folder at each stage; the page, which is not attacked here, is what it is drawn from."""
    monkeypatch.setattr("gating.runs.engine.write_page", _page)
    for module, name in ((identity, "_source"), (catalogue, "entry_points")):  # neither changes here
        monkeypatch.setattr(module, name, functools.cache(getattr(module, name)))
    monkeypatch.chdir(tmp_path)
    study = __import__("visitor.study").study
    for stage, function in (("training", "walk"), ("measuring", "measure")):
        original, left, once = getattr(study, function), [1], function == "measure"

        def stopping(config, which, place, resources, original=original, left=left, once=once):
            """Stops in the middle of the second part of its kind, where it has saved something."""
            if left[0]:
                left[0] -= 1
                return original(config, which, place, resources)
            saves = iter(range(3))
            save = place.folder.write

            def write(name, *arguments, saves=saves, save=save, once=once):
                if next(saves, None) is None:
                    raise _Stop
                save(name, *arguments)
                if once:
                    raise _Stop

            monkeypatch.setattr(place.folder, "write", write)
            return original(config, which, place, resources)

        with monkeypatch.context() as patch:
            patch.setattr(study, function, stopping)
            with pytest.raises(_Stop):
                cli.main(["visitor", "numbers.txt", *FEW, "--out", stage])
    assert cli.main(["visitor", "numbers.txt", *FEW, "--out", "finished"]) == 0
    return {stage: tmp_path / stage for stage in STAGES}


def _damaged(stages, rng):
    """Cases: stage, name and content of the damaged file, with the same damage to the engine's own files."""
    for stage in STAGES:
        own = {f".gating/{name}": b"process 1 on host" for name in ("lock", "holder")}
        for name, content in {**contents(stages[stage]), **own}.items():
            for damage, make in DAMAGE.items():
                bad = make(content, rng)
                if bad != content:
                    yield stage, name, damage, bad


def _run(arguments, capsys):
    capsys.readouterr()
    status = cli.main(arguments)
    return status, *capsys.readouterr()


@pytest.mark.long
def test_no_damage_is_used_silently(stages, tmp_path, capsys):
    """The same command, and for a finished run the report alone, over every damage."""
    rng, place, whole = random.Random(SEED), tmp_path / "damaged", contents(stages["finished"])
    results = {"results.parquet", "lines.jsonl", "report.html", "config.yaml"}
    assert results < whole.keys()
    cases, refused, silent = 0, set(), set()
    for stage, name, damage, bad in _damaged(stages, rng):
        for arguments in (["visitor", "numbers.txt", *FEW, "--out", str(place)], ["report", str(place)]):
            if arguments[0] == "report" and stage != "finished":
                continue
            shutil.copytree(stages[stage], place)
            (place / name).write_bytes(bad)
            case = (stage, name, damage, arguments[0])
            status, out, err = _run(arguments, capsys)
            after = contents(place)
            cases += 1
            if status:
                assert status == 2, case
                assert str(place / name) in err or (name == "manifest.json" and str(place) in err), (case, err)
                assert {**contents(stages[stage]), name: bad} == after | {name: bad}, case
                refused.add((stage, name, arguments[0]))
            else:
                read = results if arguments[0] == "visitor" else {"report.html"}
                assert {key: after[key] for key in read} == {key: whole[key] for key in read}, case
                if str(place / name) not in out:
                    silent.add((stage, name, arguments[0]))
                if stage != "finished":
                    del after["manifest.json"], after["environment.json"]
                    assert after == {key: whole[key] for key in after}, case
                    assert after.keys() == whole.keys() - {"manifest.json", "environment.json"}, case
            shutil.rmtree(place)
    assert cases >= 200
    used = {"manifest.json", "results.parquet", "lines.jsonl"}
    assert refused == {
        *((stage, "manifest.json", "visitor") for stage in STAGES),
        ("finished", "lines.jsonl", "visitor"),
        *(("finished", name, "report") for name in used),
    }
    unread = {name for name in whole if name.startswith("parts/")} | {"config.yaml", "environment.json"}
    assert silent == {
        *((stage, f".gating/{name}", "visitor") for stage in STAGES for name in ("lock", "holder")),
        *(("finished", name, "report") for name in unread | {".gating/lock", ".gating/holder"}),
    }


def test_a_file_of_another_run_in_place_of_its_own_is_not_used(stages, tmp_path, capsys):
    """Whole files, of the right kind: those of the other walk, of another step, or of a run of other settings."""
    (tmp_path / "other.txt").write_text("5 6 7")
    assert cli.main(["visitor", "other.txt", *FEW, "--out", "other"]) == 0
    whole, place = contents(stages["finished"]), tmp_path / "swapped"
    left, right = "parts/train/left", "parts/train/right"
    for stage, name, source in [
        ("measuring", f"{left}/step-00000020.safetensors", stages["finished"] / f"{right}/step-00000020.safetensors"),
        ("measuring", f"{left}/step-00000020.safetensors", stages["finished"] / f"{left}/step-00000010.safetensors"),
        ("training", f"{left}/state.safetensors", tmp_path / "other" / f"{left}/state.safetensors"),
        ("finished", "results.parquet", tmp_path / "other" / "results.parquet"),
        ("finished", "report.html", tmp_path / "other" / "report.html"),
    ]:
        shutil.copytree(stages[stage], place)
        shutil.copy(source, place / name)
        status, out, _ = _run(["visitor", "numbers.txt", *FEW, "--out", str(place)], capsys)
        assert status == 0
        assert f"`{place / name}` is not as the run wrote it" in out
        after = contents(place)
        assert {key: after[key] for key in whole if key[0] in "rlp"} == {
            key: whole[key] for key in whole if key[0] in "rlp"
        }
        shutil.rmtree(place)


@pytest.mark.parametrize("stage", STAGES)
def test_files_that_are_gone_are_made_again(stages, tmp_path, capsys, stage):
    """Each of them alone, and all at once."""
    whole, names = contents(stages["finished"]), [name for name in contents(stages[stage]) if name != "manifest.json"]
    for gone in [*([name] for name in names), names]:
        place = tmp_path / "gone"
        shutil.copytree(stages[stage], place)
        for name in gone:
            (place / name).unlink()
        status, out, err = _run(["visitor", "numbers.txt", *FEW, "--out", str(place)], capsys)
        if stage == "finished" and "lines.jsonl" in gone and "results.parquet" not in gone:
            assert (status, err) == (
                2,
                f"gating: `{place}/lines.jsonl` is missing; put it back, or begin anew with --again\n",
            )
        else:
            assert status == 0
            after = contents(place)
            expected = {key: content for key, content in whole.items() if key in after or stage != "finished"}
            assert after | {"manifest.json": b"", "environment.json": b""} == (
                expected | {"manifest.json": b"", "environment.json": b""}
            )
            if stage == "finished" and any(name.startswith("parts/") for name in gone):
                assert "whose table stays" in out or "results.parquet" in gone
        shutil.rmtree(place)
