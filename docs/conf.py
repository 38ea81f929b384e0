"""How Sphinx builds the documentation site: ``sphinx-build -W --keep-going -n docs DIRECTORY``."""

# Sphinx, and not mkdocs-material: the docstrings use the roles and literal blocks of reST, as help() has shown them well all the
# time. Sphinx turns them into links, and -n tells of each one that leads nowhere; mkdocstrings would show the roles as text.
# The pages are Markdown all the same, so that they can be read where nothing is built.

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from epsignal_sync import __version__  # noqa: E402  # it is found now

project = "epsignal_sync"
copyright = "the authors of epsignal_sync"
release = version = __version__

extensions = ["sphinx.ext.autodoc", "myst_parser", "docs.building.pages", "docs.building.references"]
exclude_patterns = ["building"]
html_theme = "furo"
html_title = f"epsignal_sync {release}"
html_static_path = ["style"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Nothing comes from elsewhere: no fonts, no scripts, no inventories of other sites.
html_theme_options: dict[str, object] = {"footer_icons": []}

myst_heading_anchors = 4
highlight_language = "text"

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
python_display_short_literal_types = True
toc_object_entries_show_parents = "hide"
