"""The documentation site: `make docs` builds it from these pages, the docstrings, and the command line's own help."""

from __future__ import annotations

import re
import sys
from dataclasses import is_dataclass
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
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]

# --- pages: plain Markdown, read here and on code-hosting sites -------------------------------------------------------

myst_heading_anchors = 3
smartquotes = False  # "--" is an option, and quotes are code's
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
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}
python_maximum_signature_line_length = 80
numpydoc_show_class_members = False  # autodoc shows them
toc_object_entries_show_parents = "hide"

# --- looks ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"streamtag {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


class RelativeLinks(SphinxTransform):
    """Links between files of the repository lead where they do elsewhere, though some of the files are pages here."""

    default_priority = 1

    def apply(self, **kwargs: object) -> None:
        """Turn each into a link to the page that shows the file; where there is none, into a download."""
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link["reftype"] != "myst":
                continue
            if link.astext().endswith(".md"):
                link["refexplicit"] = False  # a page has a title, not a file's name
            path, _, anchor = link["reftarget"].partition("#")
            if link["refdomain"] == "doc":  # a Markdown file, found
                if not path.startswith("../"):
                    continue
                path, anchor = f"{path.removeprefix('../')}.md", link["reftargetid"]
            if not (ROOT / path).is_file():  # as the README and others in its folder write it
                continue  # Sphinx will say so
            page = PAGES.get(path) or re.sub(r"^docs/(.*)\.md$", r"\1", path)
            if page != path:
                link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", page, anchor or None
            else:
                download = addnodes.download_reference("", "", *link.children, refdoc=link["refdoc"])
                download["reftarget"] = f"/../{path}"
                link.replace_self(download)


def short_signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """NDArray[float32] as the source has it, not what it stands for; none of a protocol, or of what streamtag makes."""
    made_by_streamtag = is_dataclass(thing) and thing is not streamtag.TaggingOptions
    if made_by_streamtag or getattr(thing, "_is_protocol", False):
        return "", None
    long = re.compile(r"~?numpy\.ndarray\[tuple\[.*?\], ~?numpy\.dtype\[[\w.~]*?(\w+)\]\]")
    alias = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    signature, returns = (part and alias.sub(r"\1", long.sub(r"NDArray[\1]", part)) for part in (signature, returns))
    return signature, returns


def every_name_is_documented(app: Sphinx, env: BuildEnvironment) -> None:
    """A public name that no page of the reference has is a warning, and so an error."""
    documented = env.domains.python_domain.objects
    for name in streamtag.__all__:
        if f"streamtag.{name}" not in documented:
            logging.getLogger(__name__).warning("streamtag.%s is public, and no page of docs/api has it", name)


def setup(app: Sphinx) -> None:
    """Sphinx calls this before it reads the pages."""
    write_reference(ROOT / "build" / "commands.md")
    app.add_transform(RelativeLinks)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("env-check-consistency", every_name_is_documented)
