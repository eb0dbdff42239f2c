"""The page of all commands, from their own help: what Typer writes as Markdown, with tables in place of lists."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

Row = tuple[str, str, str]
ITEM = re.compile(r"\* `(?P<name>[^`]+)`: (?P<text>.*?)(?:  \[(?P<notes>[^\]]*)\])?")
HEADING = re.compile(r"#+ `(?P<command>.*)`")
KINDS = {" <int range>": " N", " <float>": " NUMBER", " <path>": "", " <list[str]>": ""}
COLUMNS = {"**Commands**:": ("command", ""), "**Arguments**:": ("argument", ""), "**Options**:": ("option", "default")}


def write_reference(target: Path) -> None:
    """Write what the command line says of itself, for docs/commands.md to include."""
    command = [sys.executable, "-m", "typer", "streamtag.cli", "utils", "docs", "--name", "streamtag"]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    text = "\n".join(readable(html.unescape(ran.stdout).splitlines())) + "\n"
    if "| `--input " not in text:
        raise ValueError("Typer's Markdown has another form now: docs/command_line.py has to follow")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def readable(lines: list[str]) -> Iterator[str]:
    """Typer's Markdown, without its title, made to be read."""
    summaries = dict(_summaries(lines))
    command, kind = "streamtag", ""
    for are_items, group in groupby(lines[1:], lambda line: bool(ITEM.fullmatch(line))):
        if are_items:
            items = [found for line in group if (found := ITEM.fullmatch(line)) and found["name"] != "--help"]
            rows = (
                _command(f"{command} {item['name']}", summaries) if "Commands" in kind else _option(item)
                for item in items
            )
            yield from _table(*COLUMNS[kind], rows)
            continue
        for line in group:
            if line in COLUMNS:
                kind = line
            elif line == "**Usage**:":
                pass
            elif line.startswith("$ "):  # arguments come in braces
                yield re.sub(r"\{(.*?)(?:\.\.\.)?\}", r"\1", line)
            elif line.startswith(("Example", "Try it: ")):
                yield from _examples(line)
            else:
                command = found["command"] if (found := HEADING.fullmatch(line)) else command
                yield line


def _summaries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """What each command does, in full: in a group's list, Typer cuts it short."""
    for line, text in zip(lines, lines[2:], strict=False):
        if found := HEADING.fullmatch(line):
            yield found["command"], text


def _command(name: str, summaries: dict[str, str]) -> Row:
    return f"[`{name.removeprefix('streamtag ')}`](#{name.replace(' ', '-')})", _prose(summaries[name]), ""


def _option(item: re.Match[str]) -> Row:
    name, notes = item["name"], item["notes"] or ""
    for kind, shown in KINDS.items():
        name = name.replace(kind, shown)
    default = re.search(r"default: ([^;]*)", notes)
    last = f"`{default[1]}`" if default else "*required*" if "required" in notes else ""
    return f"`{re.sub('[<>]', '', name)}`", _prose(item["text"]), last


def _prose(text: str) -> str:
    """Help is plain text: options in it become code, documents links, and no character means anything else."""
    parts = re.split(r"(`[^`]*`)", text)
    for place in range(0, len(parts), 2):  # those between code
        part = re.sub(r"[*<]", r"\\\g<0>", parts[place])
        part = re.sub(r"(?<!\S)--[a-z][a-z-]*", r"`\g<0>`", part)
        parts[place] = re.sub(r"\bdocs/(\w+\.md)\b", r"[docs/\1](\1)", part)
    return "".join(parts)


def _table(first: str, last: str, rows: Iterable[Row]) -> Iterator[str]:
    width = 3 if last else 2
    for row in [(first, "meaning", last), ("---", "---", "---"), *rows]:
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row[:width]) + " |"


def _examples(line: str) -> Iterator[str]:
    kind, _, rest = line.partition(": ")
    yield f"{kind}:\n"
    for example in rest.split(" · "):
        marked = re.sub(r"\[/?bold\]", "`", example)
        yield f"- {_prose(marked) if '`' in marked else f'`{example}`'}"
