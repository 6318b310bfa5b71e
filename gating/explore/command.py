"""The command ``gating explore``: theory in a browser, with runs laid over it."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gating.runs.errors import FolderError
from gating.runs.files import write_text
from gating.settings import read_flags
from gating.settings.text import help_text
from theory.fields import PathText
from theory.settings import SpecError, settings

__all__ = ["ExploreOptions", "explore"]


@settings
class ExploreOptions:
    """How the explorer is served.

    Args:
        run: folders of finished runs whose gates and errors are laid over theory.
        address: where it listens, a name or an IPv4 address; other machines see it only where it is not the loopback.
        port: at which port; 0 takes one that is free.
        static: a file to write in place of serving: maps and curves of some settings, which need no server.
    """

    run: tuple[PathText, ...] = ()
    address: str = "localhost"
    port: Annotated[int, Field(ge=0, le=65535)] = 5006
    static: PathText | None = None

    def problems(self) -> Iterator[str]:
        """What is wrong with the options, one sentence each."""
        if ":" in self.address or not self.address:
            yield f"`address` must be a name or an IPv4 address; got {self.address!r}"


def explore(given: Sequence[str]) -> None:
    """Serves the explorer until it is stopped, or writes one file that needs no server.

    Raises:
        SpecError: wrong flags, or the packages of the extra are not installed.
        FolderError: a folder holds no finished run, or the file cannot be written.
    """
    if {"-h", "--help"} & set(given):
        question = "Turns the knobs of theory in a browser, with measured runs laid over it; nothing is written."
        print(help_text("explore", question, ExploreOptions, positionals=["run..."]))
        return
    first = next((place for place, token in enumerate(given) if token.startswith("--")), len(given))
    options, _ = read_flags(given[first:], ExploreOptions)
    runs = (*given[:first], *options.run)
    if options.static and runs:
        raise SpecError([f"`run` must be left out where `static` is given, whose file has no runs; got {list(runs)}"])
    if options.static:
        from gating.explore.static import static_page

        write_text(Path(options.static), static_page())
        print(options.static)
        return
    _serve(runs, options.address, options.port)


def _serve(runs: Sequence[str], address: str, port: int) -> None:
    try:
        from gating.explore.app import LOOPBACK, server_of

        server, close = server_of(runs, address, port)
    except ModuleNotFoundError as missing:
        if str(missing.name).partition(".")[0] not in ("panel", "bokeh", "tornado", "param"):
            raise
        needs = f"`explore` needs the package '{missing.name}', which is not installed"
        raise SpecError([f"{needs}; `pip install 'icl-gating[explore]'` installs it"]) from missing
    except OSError as error:
        if isinstance(error, FolderError):
            raise
        raise SpecError([f"`port` {port} at `address` {address} cannot be used ({error.strerror or error})"]) from error
    where = f"http://{address}:{server.port}/"
    others = "" if address in LOOPBACK else "; other machines can see it, and there is no password"
    print(f"The explorer is at {where}{others}. Ctrl-C ends it.", file=sys.stdout, flush=True)
    try:
        server.start()
        server.io_loop.start()
    except KeyboardInterrupt:
        print("\nThe explorer has ended; nothing was written.", file=sys.stdout)
    finally:
        server.stop()
        close()
