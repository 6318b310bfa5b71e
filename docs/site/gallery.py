"""The gallery: scripts of `examples` are run when the site is built, and shown with what they print and draw."""

import shutil
from pathlib import Path
from typing import Any

__all__ = ["ORDER", "Order", "draw", "settings"]

ORDER = (
    # theory
    "bounds_for_theorist",
    "exact_risks",
    "published_bounds",
    "certified_phases",
    "sweep",
    "context_law",
    "oracle_gate",
    "handover",
    "emergence",
    "linear_attention",
    # gates
    "regret_of_gates",
    "new_gate",
    "effective_gate",
    # models
    "new_task",
    "stylized_model",
    "tiny_transformer",
    "measure_own_model",
    "memory_or_rule",
    # results
    "own_figure",
    "figures_of_a_run",
    "table_queries",
    "intervals",
    # language models
    "language_model",
)
"""Scripts in the order in which the gallery shows them."""


class Order:
    """Key of a script's place in `ORDER`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, file: str) -> int:
        return ORDER.index(Path(file).stem)

    def __repr__(self) -> str:
        return "<Order>"


def draw(block: Any, variables: dict[str, Any], gallery: dict[str, Any]) -> str:
    """Pictures of a block of a script: charts that it holds by a name, and SVG files that it has written."""
    import altair
    import vl_convert
    from sphinx_gallery.scrapers import figure_rst

    held = variables["example_globals"]
    shown = variables.setdefault("pictures_shown", set())
    pictures = []
    for name, value in list(held.items()):
        if isinstance(value, altair.TopLevelMixin) and (name, id(value)) not in shown:
            shown.add((name, id(value)))
            pictures.append(vl_convert.vegalite_to_svg(value.to_dict()).encode())
    for file in sorted(Path(variables["src_file"]).parent.glob("*.svg")):
        pictures.append(file.read_bytes())
        file.unlink()
    places = []
    for picture in pictures:
        place = Path(next(variables["image_path_iterator"])).with_suffix(".svg")
        place.write_bytes(picture)
        places.append(str(place))
    return figure_rst(places, gallery["src_dir"]) if places else ""


def settings(docs: Path) -> dict[str, Any]:
    """Settings of sphinx-gallery: scripts run in a copy of their folder, so that what they write is not left there."""
    copies = docs / "_build" / "examples"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(parents=True)
    for file in (docs.parent / "examples").iterdir():
        if file.suffix in (".py", ".rst"):
            shutil.copy2(file, copies)
    return {
        "examples_dirs": str(copies),
        "gallery_dirs": "gallery",
        "filename_pattern": r"\.py$",
        "image_scrapers": ("docs.site.gallery.draw",),
        "within_subsection_order": "docs.site.gallery.Order",
        "reset_modules": (),
        "capture_repr": ("_repr_html_",),
        "ignore_repr_types": r"altair|Chart",
        "download_all_examples": True,
        "remove_config_comments": True,
        "show_memory": False,
        "show_signature": False,
        "only_warn_on_example_error": False,
        "min_reported_time": 10**6,
        "plot_gallery": True,
        "write_computation_times": False,
    }
