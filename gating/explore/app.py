"""The explorer's server: Panel serves the page, and carries what the browser asks and is told."""

import hashlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import psutil
import yaml

from gating.explore.laid import read_runs, texts_of_run
from gating.explore.parts import words
from gating.explore.pool import Pool
from gating.explore.session import Session
from gating.explore.setting import Setting, texts_of
from gating.page.page import chart_script

__all__ = ["LOOPBACK", "body", "script", "server_of", "style"]

LOOPBACK = ("localhost", "127.0.0.1")
SCRIPT = "explorer.js"
BRIDGE = """
export function render({ model }) {
  const line = {
    send: (message) => model.send_msg(message),
    hear: (heard) => model.on("msg:custom", (event) => heard(event.data ?? event)),
  };
  globalThis.explorerLine = line;
  dispatchEvent(new CustomEvent("explorer-line", { detail: line }));
  return document.createElement("span");
}
"""
"""What carries messages between the page's script and this process."""

POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; base-uri 'none'; form-action 'none'"
"""The browser asks no other machine for anything; Panel and Vega make functions of text."""


@cache
def _files() -> Any:
    return resources.files("gating.explore")


def _read(name: str) -> str:
    return str((_files() / name).read_text(encoding="utf-8"))


@cache
def controls() -> list[dict[str, Any]]:
    """What a reader can change, group by group, as ``controls.yaml`` declares it."""
    return list(yaml.safe_load(_read("controls.yaml")))


def axes() -> dict[str, dict[str, str]]:
    """For each field that an axis may have, the ends and the spacing of the map, as texts.

    Example:
        >>> axes()["n_sequences"]
        {'values': 'null', 'low': '10.0', 'high': '10000000.0', 'scale': 'log'}
    """
    found = {}
    for group in controls():
        for key, control in group["controls"].items():
            name = key.rpartition(".")[2]
            if "high" in control:
                low, high = 10 if key == "n_sequences" else control["low"], control["high"]
                found[name] = {
                    "low": f"{float(low)}",
                    "high": f"{float(high)}",
                    "scale": control.get("scale", "linear"),
                }
            elif name == "label_noise_kind":
                found[name] = {"low": "0.0", "high": "1.0", "scale": "linear", "values": "[uniform, shift]"}
    return {name: {"values": "null", **held} for name, held in found.items()}


def script() -> str:
    """All that the page runs."""
    return f"{chart_script()}\n{_read('explore.js')}"


def style() -> str:
    """How the page looks: as the pages of runs do."""
    return f"{(resources.files('gating.page') / 'page.css').read_text(encoding='utf-8')}\n{_read('explore.css')}"


def body(
    *,
    live: bool,
    runs: Mapping[str, Mapping[str, str]] | None = None,
    groups: Sequence[Mapping[str, Any]] | None = None,
    **more: Any,
) -> str:
    """The page without its head, as HTML.

    Args:
        live: whether a server answers.
        runs: for each run that is laid over theory, its data as texts.
        groups: controls; all of them by default.
        more: what else the script is given.
    """
    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    given = dict(runs or {})
    held = {
        "defaults": texts_of(Setting()),
        "axes": axes(),
        "runs": given,
        "first": next((dict(texts) for texts in given.values() if texts), {}),
        "live": live,
        **more,
    }
    shown = json.dumps(held, separators=(",", ":")).replace("<", "\\u003c")
    inside = engine.from_string(_read("explore.html.j2")).render(
        title=words().title,
        introduction=words().said["introduction"],
        names=words().said | {"n_sequences": "training sequences N"},
        groups=[{"title": g["title"], "controls": {k: _whole(c) for k, c in g["controls"].items()}}
                for g in (controls() if groups is None else groups)],
        runs={name: texts for name, texts in given.items() if texts},
        has_runs=bool(given),
        live=live,
    )  # fmt: skip
    return f'{inside}\n<script type="application/json" id="held">{shown}</script>'


def _whole(control: Mapping[str, Any]) -> dict[str, Any]:
    """A control with everything that the template asks for."""
    return {"switch": False, "choices": (), "none": "", "scale": "", "whole": False, "step": 1, **control}


def server_of(paths: Sequence[str], address: str, port: int) -> tuple[Any, Callable[[], None]]:
    """The server, not yet started, and what ends the processes that compute for it.

    Args:
        paths: folders of runs.
        address: where it listens.
        port: at which port; 0 takes a free one.

    Raises:
        FolderError: a folder that holds no finished run.
        OSError: the port is taken.
    """
    import panel as pn
    from panel.custom import JSComponent

    runs = {run.name: texts_of_run(run) for run in read_runs(paths)}
    pool = Pool()

    class Line(JSComponent):
        """The line to one browser tab."""

        _esm = BRIDGE

        def __init__(self, **given: Any):
            super().__init__(**given)
            self.session = Session(pool, tuple(paths), self._send_msg)

        def _handle_msg(self, data: Any) -> None:
            self.session.hear(data)

        def _process_param_change(self, params: dict[str, Any]) -> dict[str, Any]:
            """No style sheets: nothing of it is seen, and Panel would have the browser fetch some from the network."""
            return {**super()._process_param_change(params), "stylesheets": []}

    page = body(live=True, runs=runs)
    version = hashlib.sha256(script().encode()).hexdigest()[:16]
    template = _template(page, f"{SCRIPT}?{version}")

    def opened() -> Any:
        shown = pn.Template(template)
        line = Line()
        shown.add_panel("line", line)
        pn.state.on_session_destroyed(lambda context: line.session.end())
        return shown

    port = port or _free_port(address)
    server = pn.serve(
        {"/": opened}, port=port, address=address, start=False, show=False, location=False, verbose=False,
        threaded=False, extra_patterns=[(f"/{SCRIPT}", _script_handler(script().encode()))],
        websocket_origin=[f"{host}:{port}" for host in _names(address)],
        title=words().title,
    )  # fmt: skip
    return server, pool.close


def _names(address: str) -> list[str]:
    """Under which names a browser may have found the page: where others see it, all that this machine has.

    Example:
        >>> _names("localhost")
        ['localhost', '127.0.0.1']
    """
    found = ["localhost", "127.0.0.1", address]
    if address not in LOOPBACK:
        own = (each for held in psutil.net_if_addrs().values() for each in held)
        found += [each.address for each in own if each.family == socket.AF_INET]
        found += [socket.gethostname(), socket.getfqdn()]
    return list(dict.fromkeys(found))


def _free_port(address: str) -> int:
    """A port that nobody listens at."""
    with socket.create_server((address, 0)) as found:
        return int(found.getsockname()[1])


def _template(page: str, source: str) -> str:
    """The page in the frame that Panel asks for; names in it, such as those of folders, are no part of the template."""
    page = page.replace("{%", '{% endraw %}{{ "{%" }}{% raw %}')
    return (
        "{% extends base %}\n"
        "{% block postamble %}"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><style>{{% raw %}}{style()}{{% endraw %}}</style>'
        "{% endblock %}\n"
        "{% block contents %}"
        f"{{% raw %}}{page}{{% endraw %}}"
        "<div hidden>{{ embed(roots.line) }}</div>"
        f'<script type="module" src="{source}"></script>'
        "{% endblock %}"
    )


def _script_handler(content: bytes) -> Any:
    from tornado.web import RequestHandler

    class Script(RequestHandler):
        """Gives out the page's script, from memory."""

        def get(self) -> None:
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
            self.set_header("Cache-Control", "max-age=31536000, immutable")
            self.finish(content)

    return Script
