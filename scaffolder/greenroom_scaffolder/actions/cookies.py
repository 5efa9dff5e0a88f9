"""Job -> files: what cookiecutter makes of a skeleton, in jinja2's sandbox; a process of its own, for templates are programs.

    python -m greenroom_scaffolder.actions.cookies <job.json

Follows cookiecutter 2 (generate.py, prompt.py) with `--no-input`, as upstream's container calls it: the whole skeleton is what
the project folder holds, and there are no hooks.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import random
import re
import resource
import string
import sys
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import SandboxedEnvironment

from greenroom.errors import GreenroomError, InputError
from greenroom.javascript.texts import well_formed
from greenroom_scaffolder.actions.binaries import LOOKED_AT, is_binary
from greenroom_scaffolder.actions.skeletons import Skeleton
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.scan import Entry
from greenroom_scaffolder.workspace.workspace import Workspace

MEMORY = 1024**3
"""Bytes of address space, for Python and all."""
MOST_TOLD = 10_000
"""Characters of an error."""

EXTENSIONS = {
    "jinja2.ext.do": "jinja2.ext.do",
    "jinja2.ext.loopcontrols": "jinja2.ext.loopcontrols",
    "jinja2.ext.with_": None,
    "jinja2.ext.autoescape": None,
    "cookiecutter.extensions.JsonifyExtension": None,
    "cookiecutter.extensions.RandomStringExtension": None,
    "cookiecutter.extensions.SlugifyExtension": None,
    "cookiecutter.extensions.TimeExtension": None,
    "cookiecutter.extensions.UUIDExtension": None,
    "jinja2_time.TimeExtension": None,
}
"""What `extensions` may name, and what loads it; None: it is there anyway. Others would be code of this machine."""
_SPACING = ("trim_blocks", "lstrip_blocks")
_INPUT, _OUTPUT = "/input", "/output"
"""Where the skeleton and the result are in upstream's container: so they are named in values and in errors."""
_CALLED = {"_template": _INPUT, "_output_dir": _OUTPUT, "_repo_dir": _INPUT, "_checkout": None}
"""What cookiecutter adds of how it was called."""


class Job(msgspec.Struct, frozen=True):
    """One skeleton to fill in."""

    skeleton: str
    result: str
    """The folder to make."""
    outcome: str
    """The file to write when it is done."""
    values: Mapping[str, Any]
    copied: Sequence[str]
    extensions: Sequence[str]
    quota: Quota
    seconds: int

    @classmethod
    def of(cls, wanted: Any, skeleton: Path, made: str, quota: Quota, seconds: int) -> Job:
        """`made` is an empty folder for the result and the outcome. Raises InputError for an extension that there is not."""
        unknown = [one for one in wanted.extensions if one not in EXTENSIONS]
        if unknown:
            raise InputError(
                f"The jinja2 extension {unknown[0]} is not among those that can be used: {', '.join(EXTENSIONS)}"
            )
        copied, extensions = list(wanted.copy_without_render), list(wanted.extensions)
        return cls(
            str(skeleton), f"{made}/result", f"{made}/outcome.json", wanted.values, copied, extensions, quota, seconds
        )


class Outcome(msgspec.Struct, frozen=True):
    """How it went."""

    error: str | None = None


def bake(job: Job) -> None:
    """Make the files. Raises InputError, NotAllowedError, QuotaError, FileError."""
    entries = Skeleton(Path(job.skeleton)).entries()
    source = Workspace(Path(job.skeleton), job.quota)
    Path(job.result).mkdir()
    result = Workspace(Path(job.result).resolve(), job.quota)
    oven = _Oven(source, job)
    for entry in sorted(entries, key=lambda one: one.path.split("/")):
        oven.put(entry, result)


def cookies(given: Mapping[str, Any], values: Mapping[str, Any], environment: jinja2.Environment) -> dict[str, Any]:
    """What templates see as `cookiecutter`: cookiecutter.json, with the values over it, and what is a template there rendered.

    A list stands for a choice, of which the first is taken; a name that begins with `_` is not rendered."""
    found: dict[str, Any] = {}
    raw = {**given, **values}
    for plain in (True, False):  # objects last: they may use all the others
        for key, value in raw.items():
            if isinstance(value, dict) is plain:
                continue
            private = key.startswith("_") and not key.startswith("__")
            found[key] = value if private else _cookie(key, value, environment, found)
    return {key: found[key] for key in raw}


def _cookie(key: str, value: Any, environment: jinja2.Environment, found: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        value = value[0] if value else ""
    with _telling(f"the variable {key}"):
        return _rendered(value, environment, found)


def _rendered(value: Any, environment: jinja2.Environment, found: Mapping[str, Any]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {
            str(_rendered(key, environment, found)): _rendered(one, environment, found) for key, one in value.items()
        }
    if isinstance(value, list):
        return [_rendered(one, environment, found) for one in value]
    return environment.from_string(str(value)).render(cookiecutter=found)


class _Oven:
    """One skeleton being filled in."""

    def __init__(self, source: Workspace, job: Job) -> None:
        self._source = source
        self._copied = list(job.copied)
        self._whole: list[str] = []
        given = _given(source)
        self.environment = _environment(source, job.extensions or _known(given.get("_extensions")), _spacing(given))
        own = {"_copy_without_render": self._copied} if self._copied else {}
        self._cookies = {**cookies(given, {**job.values, **own}, self.environment), **_CALLED}
        self._copied = _patterns(self._cookies.get("_copy_without_render"))

    def put(self, entry: Entry, result: Workspace) -> None:
        """Write one file, folder or link of the skeleton under its rendered name."""
        verbatim = self._is_copied(entry.path)
        if entry.kind == "folder" and verbatim:
            self._whole.append(f"{entry.path}/")
        name = posixpath.normpath(self._filled(entry.path, f"the name of {entry.path}"))
        if name.startswith(("..", "/")):
            raise InputError(f"The name of {entry.path} leads out of the project: {name}")
        if entry.kind == "folder":
            result.mkdir(name)
        elif entry.kind == "link":
            result.symlink(name, entry.target)
        elif (there := result.find(name)) is None or there.kind != "folder":  # else a name that is empty
            result.write(name, self._content(entry, verbatim), entry.mode)
            result.chmod(name, entry.mode)

    def _is_copied(self, path: str) -> bool:
        return any(path.startswith(one) for one in self._whole) or any(
            fnmatch.fnmatch(path, one) for one in self._copied
        )

    def _content(self, entry: Entry, verbatim: bool) -> bytes:
        content = self._source.read(entry.path)
        if verbatim or is_binary(content[: LOOKED_AT + 3]):
            return content
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise InputError(f"{entry.path} is not UTF-8 text: name it in copyWithoutRender") from None
        first = re.search(r"\r\n|\r|\n", text)
        filled = self._filled(text, entry.path)
        return well_formed(filled if first is None or first[0] == "\n" else filled.replace("\n", first[0])).encode()

    def _filled(self, text: str, what: str) -> str:
        if "{{" not in text and "{%" not in text and "{#" not in text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        with _telling(what):
            return self.environment.from_string(text).render(cookiecutter=self._cookies)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """What goes wrong in a template says where."""
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{error.message} (in {what}, line {error.lineno})") from error
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{error} (in {what})") from error


def _given(source: Workspace) -> dict[str, Any]:
    """What cookiecutter.json says; a skeleton may have none."""
    if source.find("cookiecutter.json") is None:
        return {}
    try:
        given = json.loads(source.read("cookiecutter.json"))
    except ValueError as error:
        raise InputError(f"cookiecutter.json is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise InputError("cookiecutter.json is not an object")
    return given


def _patterns(wanted: Any) -> list[str]:
    """Of a text each character is one, as cookiecutter has it."""
    found = list(wanted or ()) if wanted is None or isinstance(wanted, list | str) else [wanted]
    if not all(isinstance(one, str) for one in found):
        raise InputError("_copy_without_render of cookiecutter.json is not a list of patterns")
    return found


def _known(extensions: Any) -> list[str]:
    """Of what cookiecutter.json names, what can be used: the rest is passed over."""
    named = extensions if isinstance(extensions, list) else []
    return [one for one in named if isinstance(one, str) and one in EXTENSIONS]


def _spacing(given: Mapping[str, Any]) -> dict[str, bool]:
    """`_jinja2_env_vars` of cookiecutter.json, as far as it is about the space around blocks."""
    wanted = given.get("_jinja2_env_vars")
    return {name: bool(wanted[name]) for name in _SPACING if name in wanted} if isinstance(wanted, dict) else {}


def _environment(source: Workspace, extensions: Sequence[str], spacing: Mapping[str, bool]) -> jinja2.Environment:
    loaded = [loader for one in extensions if (loader := EXTENSIONS[one])]
    environment = SandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=spacing.get("trim_blocks", False),
        lstrip_blocks=spacing.get("lstrip_blocks", False),
        extensions=[*loaded, _Now],
        loader=jinja2.FunctionLoader(lambda name: source.read(name).decode() if source.exists(name) else None),
    )
    environment.filters["jsonify"] = lambda value, indent=4: json.dumps(value, sort_keys=True, indent=indent)
    environment.filters["slugify"] = _slug
    environment.globals["random_ascii_string"] = _random_text
    environment.globals["uuid4"] = lambda: str(uuid.uuid4())
    return environment


def _slug(value: object, separator: str = "-") -> str:
    plain = unicodedata.normalize("NFKD", str(value)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", separator, plain).strip(separator)


def _random_text(length: int, punctuation: bool = False) -> str:
    if length > 10_000:
        raise ValueError("A random text has at most 10000 characters")
    signs = string.punctuation.replace('"', "").replace("'", "").replace("\\", "").replace("`", "")
    return "".join(
        random.SystemRandom().choice(string.ascii_letters + (signs if punctuation else "")) for _ in range(length)
    )


class _Now(Extension):
    """`{% now 'utc', '%Y' %}`, as jinja2_time writes the time; all zones are UTC here."""

    tags = {"now"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        zone = parser.parse_expression()
        form: nodes.Expr = nodes.Const("%Y-%m-%d")
        if parser.stream.skip_if("comma"):
            form = parser.parse_expression()
        return nodes.Output([self.call_method("_written", [zone, form], lineno=line)], lineno=line)

    def _written(self, _zone: object, form: object) -> str:
        return datetime.now(UTC).strftime(str(form)[:200])


def _held(seconds: int) -> None:
    """The limits of this process, which is nothing but this job."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    _held(job.seconds)
    try:
        bake(job)
        outcome = Outcome()
    except GreenroomError as error:
        told = error.message.replace(job.result, _OUTPUT).replace(job.skeleton, _INPUT)
        outcome = Outcome(well_formed(told[:MOST_TOLD]))
    except MemoryError:
        outcome = Outcome(f"The skeleton took more memory than the {MEMORY // 1024**2} MB that it may have")
    except RecursionError:
        outcome = Outcome("The skeleton is nested too deeply")
    Path(job.outcome).write_bytes(msgspec.json.encode(outcome))
    return 0 if outcome.error is None else 1


if __name__ == "__main__":
    sys.exit(main())
