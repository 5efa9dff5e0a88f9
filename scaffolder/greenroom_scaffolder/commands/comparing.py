"""What came of a case, and what should have -> what is wrong, in lines for people."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from posixpath import normpath
from typing import Any

import msgspec
import yaml

from greenroom_scaffolder.commands.cases import Case, FileWanted, is_same

RESULT = "result.yaml"
FILES = "files"
BINARY = "a binary file of {} bytes"
MOST_LINES = 40
"""Of a difference."""
TASK = r"dry-run-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""What `context.task.id` says in a dry run, and what its workspace is called."""


class Made(msgspec.Struct, frozen=True):
    """A file that a template made."""

    content: bytes
    executable: bool = False
    symlink: bool = False
    """A link that leads nowhere: the content is where it points."""


class Result(msgspec.Struct, frozen=True):
    """What came of a case."""

    error: str | None
    """`Name: message`; None: it was completed."""
    files: Mapping[str, Made]
    output: Mapping[str, Any]
    steps: Mapping[str, str]
    """By id: how it ended."""
    log: Sequence[str]
    unmet: Sequence[str] = ()
    """Mocked actions that were called with something else, or not at all."""


def problems(case: Case, result: Result) -> Iterator[str]:
    """What is not as the case expects."""
    wanted = case.expect
    if wanted.error is None and result.error is not None:
        yield f"it failed: {result.error}"
        return
    if wanted.error is not None and (result.error is None or wanted.error not in result.error):
        yield f"it should have failed with {wanted.error!r}, but {result.error or 'it was completed'}"
    for path, file in wanted.files.items():
        yield from _about_path(path, _wish(file), result.files)
    if wanted.only and (more := sorted(set(result.files) - set(map(normpath, wanted.files)))):
        yield f"files that nobody expects: {', '.join(more)}"
    for name, value in (wanted.output or {}).items():
        if name not in result.output:
            yield f"output {name} is missing, not {_json(value)}"
        elif not is_same(value, result.output[name]):
            yield f"output {name} is {_json(result.output[name])}, not {_json(value)}"
    for step, status in wanted.steps.items():
        if result.steps.get(step) != status:
            yield f"step {step} is {result.steps.get(step, 'not there')}, not {status}"
    for text in wanted.log:
        if not any(text in line for line in result.log):
            yield f"no line of the log contains {text!r}"
    yield from result.unmet


def _wish(file: str | FileWanted | bool) -> FileWanted:
    if isinstance(file, FileWanted):
        return file
    return FileWanted(absent=not file) if isinstance(file, bool) else FileWanted(equals=file)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _about_path(path: str, wanted: FileWanted, files: Mapping[str, Made]) -> Iterator[str]:
    made = files.get(normpath(path))
    is_folder = any(one.startswith(f"{normpath(path)}/") for one in files)
    if wanted.absent:
        if made or is_folder:
            yield f"{path} is there"
    elif made:
        yield from _about_file(path, wanted, made)
    elif not is_folder:
        yield f"{path} is missing"
    elif wanted != FileWanted():
        yield f"{path} is a folder"


def _about_file(path: str, wanted: FileWanted, made: Made) -> Iterator[str]:
    text = made.content.decode(errors="replace")
    if wanted.equals is not None and text != wanted.equals:
        yield f"{path} is not as expected:\n{difference(wanted.equals, text)}"
    for part in [wanted.contains] if isinstance(wanted.contains, str) else wanted.contains:
        if part not in text:
            yield f"{path} does not contain {part!r}"
    if wanted.matches is not None and not re.search(wanted.matches, text, re.MULTILINE):
        yield f"{path} does not match {wanted.matches!r}"
    if wanted.executable is not None and wanted.executable != made.executable:
        yield f"{path} is {'' if made.executable else 'not '}executable"


def difference(before: str, now: str) -> str:
    """Line by line, and not endless."""
    lines = list(difflib.unified_diff(before.splitlines(), now.splitlines(), "expected", "found", lineterm=""))
    return "\n".join([*lines[:MOST_LINES], *(["…"] if len(lines) > MOST_LINES else [])])


def steady(result: Result, root: Path) -> Result:
    """Without what differs from run to run: where the workspace is, in the folder `root`, and what the task is called."""
    named = rf"({re.escape(str(root))}/)?{TASK}"
    text, data = re.compile(named), re.compile(named.encode())

    def told(found: str) -> str:
        return text.sub(lambda match: f"<{_what(match)}>", found)

    def content(made: Made) -> Made:
        known = data.sub(lambda match: f"<{_what(match)}>".encode(), made.content)
        return msgspec.structs.replace(made, content=known)

    return Result(
        error=None if result.error is None else told(result.error),
        files={told(path): content(made) for path, made in result.files.items()},
        output=_with_texts(result.output, told),
        steps=result.steps,
        log=[told(line) for line in result.log],
        unmet=[told(line) for line in result.unmet],
    )


def _what(match: re.Match[Any]) -> str:
    return "workspace" if match[1] else "task"


def _with_texts(tree: Any, told: Callable[[str], str]) -> Any:
    """The same with other texts."""
    if isinstance(tree, Mapping):
        return {told(key): _with_texts(value, told) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_with_texts(value, told) for value in tree]
    return told(tree) if isinstance(tree, str) else tree


def against_snapshot(result: Result, folder: Path) -> Iterator[str]:
    """What differs from what was last looked at."""
    if not folder.is_dir():
        yield f"there is no snapshot yet: look at what comes of it, and write it by --update ({folder})"
        return
    before, now = _kept(folder), _telling(result)
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            yield f"{path} is not made any more"
        elif path not in before:
            yield f"{path} is new"
        elif before[path] != now[path]:
            yield f"{path} differs from its snapshot:\n{_told_difference(before[path], now[path])}"


def write_snapshot(result: Result, folder: Path) -> None:
    """In place of what is there."""
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    for path, content in _telling(result).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _telling(result: Result) -> dict[str, bytes]:
    """The files of a snapshot."""
    modes = [path for path, made in result.files.items() if made.executable]
    astray = [path for path, made in result.files.items() if made.symlink]
    facts: dict[str, Any] = {"error": result.error, "steps": dict(result.steps), "output": dict(result.output)}
    facts |= {"executable": sorted(modes)} if modes else {}
    facts |= {"links": sorted(astray)} if astray else {}
    told = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).encode()
    return {RESULT: told, **{f"{FILES}/{path}": made.content for path, made in result.files.items()}}


def _kept(folder: Path) -> dict[str, bytes]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def _told_difference(before: bytes, now: bytes) -> str:
    try:
        return difference(before.decode(), now.decode())
    except UnicodeDecodeError:
        return f"{BINARY.format(len(before))}, now {BINARY.format(len(now))}"
