"""What a person asks of tracks, ``ambient > 0.4 and not path has "live"``, as an expression of pyarrow's.

The text is read by Python's own parser, for its grammar is known, and what comes of it is taken apart node by node:
nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from streamtag.errors import OptionError

LONGEST = 10_000
"""Characters: Python's parser needs its stack for what is deeply nested."""
COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Gt: gt,
    ast.GtE: ge,
    ast.Lt: lt,
    ast.LtE: le,
    ast.Eq: eq,
    ast.NotEq: ne,
}
CONSTANT = (ast.Constant, ast.UnaryOp)
EXAMPLE = "--where 'ambient > 0.4 and \"female vocalists\" < 0.1 and duration < 300'"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was understood.

    Attributes
    ----------
    expression : pyarrow.compute.Expression
        For a filter.
    columns : list of str
        The columns that it needs.
    score : tuple of str or None
        Where the first score in it is; None where there is none.
    """

    expression: pc.Expression
    columns: list[str]
    score: tuple[str, ...] | None


def condition(text: str, schema: pa.Schema) -> Condition:
    """A condition on the rows of a library.

    Parameters
    ----------
    text : str
        Comparisons of tags and columns with numbers and texts, joined by ``and``, ``or``, ``not`` and brackets; chained
        (``0.2 < rock < 0.5``), and ``"text" in path``. A tag stands for its mean, ``tags_max.rock`` for its maximum,
        ``heads.mood.calm`` for a class of a head. A name with spaces is quoted, or written with ``_``.
    schema : pyarrow.Schema
        The columns that there are.

    Returns
    -------
    Condition
        What was understood.

    Raises
    ------
    OptionError
        Not to be understood, or a name that there is not.
    """
    if len(text) > LONGEST:
        raise OptionError(f"--where: {len(text):,} characters; {LONGEST:,} are the most")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = f" at {_around(text, error)}" if isinstance(error, SyntaxError) else ""
        raise OptionError(f"--where {text!r} is not to be understood{at}: for example {EXAMPLE}") from None
    reader = _Reader(schema)
    expression = reader.truth(tree)
    score = next((place for place in reader.used if len(place) > 1), None)
    return Condition(expression, list(dict.fromkeys(place[0] for place in reader.used)), score)


def _around(text: str, error: SyntaxError) -> str:
    begin = (error.offset or 0) - 1  # 0, or behind the last character: at the end
    text = text.strip()
    return repr(text[begin : begin + 20]) if 0 <= begin < len(text) else "its end"


class _Reader:
    """Reads a tree with the names of a schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = dict(_names(schema))
        self.used: list[tuple[str, ...]] = []  # where what was named is

    def truth(self, node: ast.expr) -> pc.Expression:
        match node:
            case ast.BoolOp(op, values):
                return reduce(and_ if isinstance(op, ast.And) else or_, map(self.truth, values))
            case ast.UnaryOp(ast.Not(), operand):
                return ~self.truth(operand)
            case ast.Compare(left, ops, comparators):
                sides = [left, *comparators]
                pairs = zip(sides, ops, comparators, strict=False)
                return reduce(and_, (self._comparison(one, op, other) for one, op, other in pairs))
        raise OptionError(f"--where: {ast.unparse(node)!r} is no comparison: for example {EXAMPLE}")

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pc.Expression:
        if isinstance(op, ast.In | ast.NotIn):
            if not (isinstance(left, ast.Constant) and isinstance(left.value, str)):
                raise OptionError(f'--where: {ast.unparse(left)!r} before `in`: expected a text, as in "live" in path')
            field, kind = self._named(right)
            if not pa.types.is_string(kind):
                raise OptionError(f"--where: {ast.unparse(right)!r} after `in` is no text: path and decoder are")
            found = pc.match_substring(field, left.value, ignore_case=True)
            return ~found if isinstance(op, ast.NotIn) else found
        compare = COMPARISONS.get(type(op))
        if compare is None:
            raise OptionError(f"--where: only <, <=, >, >=, ==, != and `in` compare: for example {EXAMPLE}")
        text = any(pa.types.is_string(self._named(node)[1]) for node in (left, right) if not isinstance(node, CONSTANT))
        one, other = self._side(left, text), self._side(right, text)
        if not any(isinstance(side, pc.Expression) for side in (one, other)):
            raise OptionError(f"--where: no tag and no column in a comparison: for example {EXAMPLE}")
        result: pc.Expression = compare(
            *(side if isinstance(side, pc.Expression) else pc.scalar(side) for side in (one, other))
        )
        return result

    def _side(self, node: ast.expr, text: bool) -> pc.Expression | float | str:
        """A field, or a number, or a text; which is the name of a field if no text is compared."""
        match node:
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if not text:
                return -value
            case ast.Constant(bool()):
                pass
            case ast.Constant(int() | float() as value) if not text:
                return value
            case ast.Constant(str() as value) if text:
                return value
        if isinstance(node, ast.UnaryOp) or (isinstance(node, ast.Constant) and not isinstance(node.value, str)):
            wanted = "a text" if text else "a number, or the name of a tag or column"
            raise OptionError(f"--where: {ast.unparse(node)}: expected {wanted}")
        field, kind = self._named(node)
        if pa.types.is_string(kind) != text:
            raise OptionError(
                f"--where: {ast.unparse(node)} is a {'number' if text else 'text'}, and is compared with another"
            )
        return field

    def _named(self, node: ast.expr) -> tuple[pc.Expression, pa.DataType]:
        name = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
        name = str(name).replace("'", "").replace('"', "")
        found = self._names.get(_plain(name))
        if found is None:
            near = difflib.get_close_matches(_plain(name), self._names, 3, 0.5)
            shown = ", ".join(near) or ", ".join(list(self._names)[:12]) + " …"
            raise OptionError(f"--where: there is no tag and no column {name!r}; there is {shown}")
        self.used.append(found[0])
        return pc.field(*found[0]), found[1]


def _plain(name: str) -> str:
    """A name as it is compared: `Female Vocalists` and `female_vocalists` are the same."""
    return re.sub(r"[\s_\-]+", "_", name.strip().lower())


def _names(schema: pa.Schema) -> Iterator[tuple[str, tuple[tuple[str, ...], pa.DataType]]]:
    """Every name that may be asked for, with where it is; columns go before tags of the same name."""
    for column in schema:
        if pa.types.is_struct(column.type):
            yield from _inside(column.name, (column.name,), column.type)
    tags = schema.field("tags").type if "tags" in schema.names else pa.struct([])  # a model may have none
    for tag in (tags.field(i).name for i in range(tags.num_fields)):
        yield _plain(tag), (("tags", tag), pa.float32())
    for column in schema:
        if not (pa.types.is_nested(column.type)):
            yield _plain(column.name), ((column.name,), column.type)


def _inside(name: str, place: tuple[str, ...], kind: pa.DataType) -> Iterator[Any]:
    for child in (kind.field(i) for i in range(kind.num_fields)):
        below = (*place, child.name)
        if pa.types.is_struct(child.type):
            yield from _inside(f"{name}.{_plain(child.name)}", below, child.type)
        else:
            yield f"{name}.{_plain(child.name)}", (below, child.type)
