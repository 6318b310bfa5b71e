"""Settings of the documentation site: `make docs` builds it into docs/_build."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from docs.site import api, files, gallery, references  # noqa: E402

project = "icl-gating"
author = "the authors of icl-gating"
version = release = version_of("icl-gating")
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax as files of the site
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = [
    "_build",
    "gallery/*.md5",
    "gallery/*.json",
    "sg_execution_times.rst",
    "gallery/sg_execution_times.rst",
]
nitpicky = True
suppress_warnings = [
    "config.cache",  # settings of the gallery hold functions
    "sphinx_gallery.space_in_filename",  # of folders above the project; links are looked through afterwards
]

# pages in Markdown, which read well on GitHub as they are
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# API
default_role = "name"
add_module_names = False
autodoc_typehints = "none"  # the signatures stay short; arguments tell their shapes, units and ranges
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False

# looks
html_theme = "furo"
html_title = "icl-gating"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "a11y-high-contrast-light"  # of furo's own requirements
pygments_dark_style = "a11y-high-contrast-dark"
html_show_copyright = False

# mathematics: rendered by the reader's browser, from files of the site
mathjax3_config = {"options": {"enableMenu": False}}

linkcheck_timeout = 20
linkcheck_retries = 2

sphinx_gallery_conf = gallery.settings(HERE)


def setup(app):
    """Pages that are made from the packages and from other files, before all are read."""
    api.write_pages(HERE / "api")
    files.write_pages(HERE / "files")
    references.connect(app)
