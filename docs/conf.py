"""The documentation site: `make docs` builds it from these pages, the docstrings, and the command line's own help."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

import streamtag

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from command_line import write_reference  # noqa: E402 - it lies beside this file

project = "streamtag"
copyright = "2026 The streamtag developers"
version = release = streamtag.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# --- pages: plain Markdown, read here and on code-hosting sites -------------------------------------------------------

myst_heading_anchors = 3
smartquotes_action = "qe"  # but no dashes: "--" is an option
# sections of the README are pages here: under the page's title their headings begin at the third level
suppress_warnings = ["myst.header"]
PAGES = {
    "README.md": "start",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "SECURITY.md": "security",
}
"""Files outside docs/, and the pages that include them."""

# --- the Python reference ---------------------------------------------------------------------------------------------

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_ivar = True  # attributes as a list; a dataclass's fields would come twice
napoleon_use_rtype = False

# --- looks ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"streamtag {release}"
html_copy_source = False


class LinksOutOfDocs(SphinxTransform):
    """Relative links to files outside docs/, and of such files that pages include, lead where they do elsewhere."""

    default_priority = 1

    def apply(self, **kwargs: object) -> None:
        """Turn each into a link to the page that shows the file; where there is none, into a download."""
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link["reftype"] != "myst":
                continue
            path, _, anchor = link["reftarget"].partition("#")
            if link["refdomain"] == "doc":
                if not path.startswith("../"):
                    continue
                path, anchor = f"{path.removeprefix('../')}.md", link["reftargetid"]
            if not (ROOT / path).is_file():
                continue  # Sphinx will say so
            page = PAGES.get(path) or re.sub(r"^docs/(.*)\.md$", r"\1", path)
            if page != path:
                link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", page, anchor or None
            else:
                download = addnodes.download_reference("", "", *link.children, refdoc=link["refdoc"])
                download["reftarget"] = f"/../{path}"
                link.replace_self(download)


def every_name_is_documented(app: Sphinx, env: BuildEnvironment) -> None:
    """A public name that no page of the reference has is a warning, and so an error."""
    documented = env.domains.python_domain.objects
    for name in streamtag.__all__:
        if f"streamtag.{name}" not in documented:
            logging.getLogger(__name__).warning("streamtag.%s is public, and no page of docs/api has it", name)


def setup(app: Sphinx) -> None:
    """Sphinx calls this before it reads the pages."""
    write_reference(ROOT / "build" / "commands.md")
    app.add_transform(LinksOutOfDocs)
    app.connect("env-check-consistency", every_name_is_documented)
