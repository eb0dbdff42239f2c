"""The public names: one list, which resolves, is typed and is documented."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import streamtag

NAMES = [name for name in streamtag.__all__ if name != "__version__"]


def owners():
    """Name and module of all that the stub names."""
    tree = ast.parse(files("streamtag").joinpath("__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    return [(alias.name, f"streamtag.{node.module}") for node in imports for alias in node.names]


def test_the_list_is_the_names_of_the_stub_and_the_version_without_repeats():
    assert sorted(NAMES) == sorted(name for name, _ in owners())
    assert len(set(streamtag.__all__)) == len(streamtag.__all__)
    assert set(streamtag.__all__) <= {*dir(streamtag), "__version__"}


@pytest.mark.parametrize(("name", "module"), owners())
def test_each_name_resolves_to_what_is_called_that_and_lives_there(name, module):
    public = getattr(streamtag, name)
    assert public.__name__ == name
    assert public.__module__ == module
    assert getattr(streamtag, name) is public


@pytest.mark.parametrize("name", NAMES)
def test_each_name_and_all_of_its_public_members_are_documented(name):
    public = getattr(streamtag, name)
    assert public.__doc__
    # a dataclass without a docstring gets its signature as one
    assert not public.__doc__.startswith(f"{name}(")
    if not inspect.isclass(public):
        return
    undocumented = [
        member
        for member, value in vars(public).items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod))
        and not inspect.getdoc(getattr(public, member))
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", ["live", "Session"])
def test_what_is_given_to_a_session_can_be_named(name):
    """Each class of ours in its signature is public."""
    public = getattr(streamtag, name)
    module = sys.modules[public.__module__]
    annotations = " ".join(str(each.annotation) for each in inspect.signature(public).parameters.values())
    mentioned = {word: getattr(module, word, None) for word in re.findall(r"[A-Z]\w+", annotations)}
    ours = {word for word, value in mentioned.items() if inspect.isclass(value) and "streamtag" in value.__module__}
    assert "ControlPort" in ours, "the test reads signatures"
    assert ours <= set(NAMES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"streamtag.*tagger_of_all"):
        _ = streamtag.tagger_of_all  # type: ignore[attr-defined] # that it is none is what is tested
    assert not hasattr(streamtag, "numpy")


def test_star_import_gives_the_list():
    names: dict[str, object] = {}
    exec("from streamtag import *", names)
    assert set(streamtag.__all__) <= set(names)


def test_every_error_is_a_streamtag_error_and_documented():
    from streamtag import errors

    classes = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
    assert len(classes) >= 12
    for error in classes:
        assert issubclass(error, errors.StreamtagError)
        assert error.__doc__
        assert error.__name__ in errors.__doc__


def test_version_is_the_installed_ones():
    from importlib.metadata import version

    assert streamtag.__version__ == version("streamtag")


def test_types_are_published():
    assert files("streamtag").joinpath("py.typed").is_file()


def test_the_citation_names_this_version():
    citation = (Path(__file__).parents[1] / "CITATION.cff").read_text()
    assert f"version: {streamtag.__version__}\n" in citation


def test_the_command_line_starts_without_numpy():
    code = "import sys, streamtag.cli; sys.exit('numpy' in sys.modules or 'numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
