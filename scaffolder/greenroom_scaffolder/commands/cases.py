"""`template.test.yaml` -> cases: what a template is given, and what has to come of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from greenroom.errors import InputError
from greenroom.javascript.values import kind_of
from greenroom_scaffolder.commands import CASE_FILES
from greenroom_scaffolder.commands.files import documents_of
from greenroom_scaffolder.templates.located import Located, Place
from greenroom_scaffolder.templating.suggestions import nearest


class Mock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands for an action that would reach outside."""

    output: dict[str, Any] = {}
    input: dict[str, Any] | None = None
    """What it has to be called with, at least."""
    error: str | None = None
    """It fails with these words."""


class FileWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file has to be like. With nothing said, it only has to be there."""

    equals: str | None = None
    contains: list[str] | str = []
    matches: str | None = None
    """A regular expression that is found in it."""
    executable: bool | None = None
    absent: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a regular expression that is none, which names its place in the file of cases."""
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"{self.matches!r} is not a regular expression: {error}") from error


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has to come of a case. What is not mentioned may be anything."""

    error: str | None = None
    """It fails, with an error that contains these words; with none, any will do. Without it, it has to be completed."""
    files: dict[str, str | FileWanted | bool] = {}
    """By path: the whole content, or what it is like; true and false: it is there, it is not, as a file or a folder."""
    only: bool = False
    """There are no other files than those."""
    output: dict[str, Any] | None = None
    """Of these members each has to be as it stands here."""
    steps: dict[str, Literal["completed", "skipped", "failed"]] = {}
    log: list[str] = []
    """Texts that lines of the log contain."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to use a template."""

    name: str
    values: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    user: dict[str, Any] | None = None
    """`{"ref": …, "entity": …}` of who runs it."""
    actions: dict[str, Mock] = {}
    """By id. An action that supports no dry run, and is not here, is skipped, and its outputs are examples."""
    expect: Expected = Expected()
    snapshot: bool = False
    """The whole of what came of it is compared with what came of it when that was last looked at."""

    @property
    def slug(self) -> str:
        """The name of its folder of snapshots."""
        letters = "".join(letter if letter.isalnum() else " " for letter in self.name.lower())
        return "-".join(letters.split()) or "case"


class CaseFile(msgspec.Struct, forbid_unknown_fields=True):
    """All cases of a template."""

    cases: list[Case]
    template: str = "template.yaml"
    """Beside this file."""


_KINDS: Final[Mapping[str, type[msgspec.Struct]]] = {
    ".cases": Case,
    ".cases.actions": Mock,
    ".cases.expect": Expected,
    ".cases.expect.files": FileWanted,
}
"""What stands under a path of the file."""


class Suite(msgspec.Struct, frozen=True):
    """A file of cases, and the template that they are about."""

    file: Path
    template: Path
    cases: list[Case]

    def snapshot_of(self, case: Case) -> Path:
        """Where the snapshot of a case is kept, beside the cases."""
        return self.file.parent / "snapshots" / case.slug


def read_suite(file: Path) -> Suite:
    """Raises InputError for what is no file of cases: two of one name, an unknown member, a template that is not there."""
    document = next(iter(documents_of(file)), Located(None, Place()))
    try:
        found = msgspec.convert(document.value, CaseFile)
    except msgspec.ValidationError as error:
        raise InputError(_refusal(file, document, str(error))) from error
    if twice := _twice(case.name for case in found.cases):
        raise InputError(f"{file}: two cases are called {', '.join(twice)}")
    if twice := _twice(case.slug for case in found.cases if case.snapshot):
        raise InputError(f"{file}: two cases have names that lead to the same snapshot: {', '.join(twice)}")
    template = file.parent / found.template
    if not template.is_file():
        raise InputError(f"{file}: there is no template {template}")
    return Suite(file, template, found.cases)


def _refusal(file: Path, document: Located, error: str) -> str:
    """What msgspec says, with its line, and with the member that was probably meant."""
    problem, at, inside = error.rpartition(" - at `$")
    if not at:
        return f"{file} is no file of cases, such as {CASE_FILES[0]} beside a template: {error}"
    path = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", inside.partition("[...]")[0])]
    around = document.get(*path) or document
    place = around.place
    if unknown := re.search("unknown field `(.*)`$", problem):
        place = around.keys.get(unknown[1], place)
        near = nearest(unknown[1], _KINDS[re.sub(r"\[.*?\]|`", "", inside)].__struct_fields__)
        problem += f", did you mean `{near}`?" if near else ""
    return f"{file}:{place.line}:{place.column}: {problem}"


def _twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def is_within(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is found: members of objects, at any depth; lists as a whole."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and is_within(value, found[key]) for key, value in wanted.items()
        )
    return is_same(wanted, found)


def is_same(wanted: Any, found: Any) -> bool:
    """Whether two values are the same JSON. To Python alone, `true` is 1."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return wanted.keys() == found.keys() and all(is_same(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(is_same, wanted, found))
    return kind_of(wanted) == kind_of(found) and bool(wanted == found)
