"""The public names: one list, which resolves, is typed and is documented."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from importlib.resources import files

import pytest

import streamtag

NAMES = [name for name in streamtag.__all__ if name != "__version__"]


def owners(tree):
    """Name and module of all that is imported for type checkers."""
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    assert all(isinstance(node, ast.ImportFrom) for node in block.body)
    return [(alias.asname or alias.name, node.module) for node in block.body for alias in node.names]


def test_type_checkers_see_exactly_the_public_names():
    tree = ast.parse(inspect.getsource(streamtag))
    seen = owners(tree)
    assert len(seen) == len(set(seen))
    assert dict(seen) == streamtag._PUBLIC
    renamed = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname not in (None, alias.name)
    ]
    assert renamed == []


def test_the_list_is_the_names_and_the_version_without_repeats():
    assert streamtag.__all__ == ["__version__", *streamtag._PUBLIC]
    assert len(set(streamtag.__all__)) == len(streamtag.__all__)
    assert dir(streamtag) == sorted(streamtag.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_resolves_to_what_is_called_that_and_lives_there(name):
    public = getattr(streamtag, name)
    assert public.__name__ == name
    assert public.__module__ == streamtag._PUBLIC[name]
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
    assert "ControlPort" in ours
    assert ours <= set(NAMES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'streamtag' has no attribute 'tagger_of_all'"):
        _ = streamtag.tagger_of_all
    assert not hasattr(streamtag, "numpy")


def test_star_import_gives_the_list():
    names = {}
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
