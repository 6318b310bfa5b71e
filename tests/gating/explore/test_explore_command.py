"""The command: what it needs, where it listens, and the file that it writes without a server."""

import base64
import gzip
import json
import re
import socket
import subprocess
import sys
from types import SimpleNamespace

import jinja2

from gating.cli import main
from gating.explore.app import _names, _template, axes, body, controls
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
        (["--address", "::1"], "`address` must be a name or an IPv4 address; got '::1'"),
        (["runs/x", "--static", "no.html"], "`run` must be left out where `static` is given"),
    ):
        assert main(["explore", *arguments]) == 2
        assert sentence in capsys.readouterr().err


def test_it_listens_to_this_machine_alone():
    assert ExploreOptions().address == "localhost"
    assert _names("localhost") == ["localhost", "127.0.0.1"]


def test_where_other_machines_see_it_they_may_use_every_name_of_this_one(monkeypatch):
    held = {"eth0": [SimpleNamespace(address="192.0.2.7", family=socket.AF_INET)]}
    monkeypatch.setattr("psutil.net_if_addrs", lambda: held)
    assert {"192.0.2.7", socket.gethostname(), "localhost"} <= set(_names("0.0.0.0"))


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


def test_no_name_of_a_folder_is_a_part_of_the_template():
    page = body(live=True, runs={"{% endraw %}{{ 7 * 7 }}{% raw %}": {"distribution.dim": "3"}})
    frame = "{% block postamble %}{% endblock %}{% block contents %}{% endblock %}"
    shown = jinja2.Environment(loader=jinja2.DictLoader({"base": frame, "page": _template(page, "x")})).get_template(
        "page"
    )
    found = shown.render(base="base", embed=lambda root: "", roots=SimpleNamespace(line=None))
    assert "Take the data of {% endraw %}{{ 7 * 7 }}{% raw %}</button>" in found


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
