"""The command: what it needs, where it listens, and the file that it writes without a server."""

import base64
import gzip
import json
import re
import subprocess
import sys

from gating.cli import main
from gating.explore.app import axes, body, controls
from gating.explore.command import ExploreOptions
from gating.explore.parts import shown
from gating.explore.setting import Setting, read_setting, texts_of
from gating.explore.static import static_page


def test_every_field_of_the_data_and_of_the_comparison_has_a_control():
    known = {key for group in controls() for key in group["controls"]}
    assert known == set(texts_of(Setting())) - {"x.count", "x.values", "y.count", "y.values"}
    fields = next(group["controls"]["x.field"]["choices"] for group in controls())
    for name in fields:
        usual = {
            "x.field": name,
            "y.field": "dim" if name == "p_high" else "p_high",
            "distribution.context_length": "16",
        }
        upwards = {f"y.{end}": text for end, text in axes()[usual["y.field"]].items()}
        assert read_setting({**usual, **upwards, **{f"x.{end}": text for end, text in axes()[name].items()}})


def test_help_and_wrong_flags(capsys):
    assert main(["explore", "--help"]) == 0
    assert "--static" in capsys.readouterr().out
    for arguments, sentence in (
        (["--port", "99999"], "`port` must be an integer in 0 .. 65535; got 99999"),
        (["--prot", "1"], "unknown key `prot`; did you mean `port`?"),
        (["no/such/run"], "`no/such/run` must be the folder of a run"),
    ):
        assert main(["explore", *arguments]) == 2
        assert sentence in capsys.readouterr().err


def test_it_listens_to_this_machine_alone():
    assert ExploreOptions().address == "localhost"


def test_without_the_extra_it_says_what_to_install():
    code = "import sys; sys.modules['panel'] = None; from gating.cli import main; sys.exit(main(['explore']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "`explore` needs the package 'panel', which is not installed" in done.stderr
    assert "pip install 'icl-gating[explore]'" in done.stderr


def test_no_text_of_a_run_is_markup():
    page = body(live=True, runs={"</script><b>x": {"distribution.dim": "</script>"}})
    assert "<b>x" not in page
    assert page.count("</script>") == 1


def test_a_file_without_a_server_has_the_answers_of_its_grid():
    grid = {"distribution.label_noise": ("0.0", "0.2"), "distribution.p_high": ("0.9",)}
    page = static_page(grid)
    held = json.loads(re.search(r'id="held">(.*?)</script>', page, re.DOTALL)[1])
    packed = json.loads(gzip.decompress(base64.b64decode(held["grid"])))
    assert set(packed["found"]) == {"map|0.0", "map|0.2", "curves|0.0|0.9", "curves|0.2|0.9"}
    of = [json.loads(text) for text in packed["pool"]]
    wanted = json.loads(shown("map", read_setting({"distribution.label_noise": "0.2"})))
    found = packed["found"]["map|0.2"]
    assert of[found["x"]] == wanted["x"]
    assert {name: of[place] for name, place in found["figure"]["points"].items()} == wanted["figure"]["points"]
    assert of[found["figure"]["frame"]] == {k: v for k, v in wanted["figure"].items() if k != "points"}
    assert not re.search(r"(src|href)=|url\(", page)


def test_a_file_that_cannot_be_written_is_named(capsys, monkeypatch):
    monkeypatch.setattr("gating.explore.static.static_page", lambda: "page")
    assert main(["explore", "--static", "/proc/none/file.html"]) == 2
    assert "`/proc/none/file.html` cannot be written" in capsys.readouterr().err
