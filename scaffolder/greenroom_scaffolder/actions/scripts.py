"""folder -> actions: each `<name>.yaml` describes a program, in any language, that is one.

    id: acme:greet
    description: Leave a greeting in the workspace.
    input: {type: object, properties: {name: {type: string}}, required: [name], additionalProperties: false}
    output: {type: object, properties: {greeting: {type: string}}}
    run: [./greet.sh]

The program runs in the workspace. It reads its input as JSON from stdin; each line that it prints is a line of the log; outputs it
writes as a JSON object to the file that `GREENROOM_OUTPUT` names. A status other than 0 fails the step.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from greenroom.errors import ConfigError, GreenroomError, InputError
from greenroom.plugin import Action, ActionContext, Example
from greenroom_scaffolder.schemas import validate
from greenroom_scaffolder.templates.located import Unreadable, read_documents
from greenroom_scaffolder.workspace.descent import FileError, open_to_read, place
from greenroom_scaffolder.workspace.threads import folder_beside, in_thread

MOST_OUTPUT = 1024 * 1024
"""Bytes of a program's outputs."""
_ANSWER = "output.json"
_LIMITED = 'ulimit -t "$1" && ulimit -v "$2" && shift 2 && exec "$@"'


class Limits(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What the system holds each process of a program to."""

    cpu_seconds: Annotated[int, msgspec.Meta(ge=1)] = 600
    memory_megabytes: Annotated[int, msgspec.Meta(ge=1)] = 4096


class Script(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a file beside a program says of it."""

    id: str
    run: Sequence[str]
    """Program and arguments. What begins with `./` stands in the file's own folder, another path in the workspace."""
    description: str | None = None
    input: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    """JSON Schema (draft 7), which a step's input has to meet."""
    output: dict[str, Any] | None = None
    """JSON Schema, which the outputs have to meet."""
    examples: Sequence[Example] = ()
    idempotent: bool = False
    dry_run: bool = False
    """Whether it runs in dry runs, too: then it looks at `GREENROOM_DRY_RUN`, and changes nothing outside of the workspace."""
    timeout: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    """Seconds."""
    limits: Limits = Limits()
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    """Variables that it gets, beside the few that every program needs."""


class ScriptError(GreenroomError):
    """The program failed"""


def script_actions(folders: Iterable[Path], builtin: Collection[str] = ()) -> list[Action[Any]]:
    """The actions of all programs in some folders (`scaffolder.scripts`), by file name.

    Raises ConfigError, which names the file, for a description that is wrong, or has the id of another or of a `builtin`
    action."""
    owners = dict.fromkeys(builtin, "a built-in action")
    actions = []
    for path in _descriptions(folders):
        script = _described(path)
        if owner := owners.get(script.id):
            raise _wrong(path, f"has the id of {owner}", value=script.id, hint="give it another `id`")
        owners[script.id] = str(path)
        actions.append(script_action(script, path.parent.resolve()))
    return actions


def _descriptions(folders: Iterable[Path]) -> Iterator[Path]:
    """Raises ConfigError."""
    for folder in folders:
        if not folder.is_dir():
            hint = "each file NAME.yaml in it describes a program that is an action"
            raise ConfigError("scaffolder.scripts", "expected a folder", value=str(folder), hint=hint)
        yield from sorted(folder.glob("*.y*ml"))


def script_action(script: Script, folder: Path) -> Action[Any]:
    """The action of one program."""

    async def run(ctx: ActionContext[Mapping[str, Any]]) -> Mapping[str, Any]:
        async with folder_beside(ctx.workspace, "script") as made:
            await _run(ctx, script, folder, made / _ANSWER)
            return await in_thread(lambda: _outputs(script, made))

    return Action(
        script.id,
        run,
        description=script.description,
        input_schema=script.input,
        output_schema=script.output,
        examples=tuple(script.examples),
        dry_run=script.dry_run,
        idempotent=script.idempotent,
    )


async def _run(ctx: ActionContext[Mapping[str, Any]], script: Script, folder: Path, answer: Path) -> None:
    """Raises ScriptError for a status other than 0, and when its time is over."""
    told = {
        "GREENROOM_OUTPUT": str(answer),
        "GREENROOM_TASK": ctx.task_id,
        "GREENROOM_STEP": ctx.step_id,
        "GREENROOM_KEY": ctx.key,
        "GREENROOM_DRY_RUN": "true" if ctx.dry_run else "",
        "GREENROOM_USER": str((ctx.user or {}).get("ref", "")),
    }
    limits = (str(script.limits.cpu_seconds), str(script.limits.memory_megabytes * 1024))
    program = [str(folder / part) if part.startswith("./") else part for part in script.run]
    command = ("/bin/sh", "-c", _LIMITED, "sh", *limits, *program)
    try:
        async with asyncio.timeout(script.timeout):
            status = await ctx.run(*command, env={**script.environment, **told}, stdin=msgspec.json.encode(ctx.input))
    except TimeoutError:
        raise ScriptError(f"The program of {script.id} took longer than {script.timeout:g} seconds") from None
    if status != 0:
        raise ScriptError(f"The program of {script.id} failed with status {status}: the log has what it said")


def _outputs(script: Script, made: Path) -> Mapping[str, Any]:
    """Raises ScriptError for outputs that are no JSON object, too large, or not what the schema says; FileError for what is no
    plain file, and might keep its reader waiting."""
    content = b""
    try:
        with place(made, _ANSWER, follow=False) as there, os.fdopen(open_to_read(there, _ANSWER), "rb") as file:
            content = file.read(MOST_OUTPUT + 1)
    except FileError as error:
        if error.number != errno.ENOENT:
            raise
    if len(content) > MOST_OUTPUT:
        raise ScriptError(f"The outputs of {script.id} are larger than {MOST_OUTPUT} bytes")
    try:
        outputs = msgspec.json.decode(content or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ScriptError(f"The outputs of {script.id} are not a JSON object: {error}") from error
    problems = validate(outputs, script.output) if script.output is not None else []
    if problems:
        raise ScriptError(f"Invalid output of action {script.id}, {', '.join(one.stack for one in problems)}")
    return outputs


def _described(path: Path) -> Script:
    """Raises ConfigError."""
    try:
        documents = read_documents(path.read_text("utf-8"))
        script = msgspec.convert(documents[0].value if documents else None, Script)
    except Unreadable as error:
        raise _wrong(path, f"does not describe an action: {error.message} (line {error.place.line})") from error
    except (OSError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise _wrong(path, f"does not describe an action: {error}") from error
    if not script.run:
        raise _wrong(path, "names no program to `run`")
    for member, schema in (("input", script.input), ("output", script.output)):
        if problem := _schema_problem(schema or {}):
            raise _wrong(path, f"`{member}` is no JSON Schema: {problem}")
    _look_for(script.run[0], path, script.environment.get("PATH"))
    return script


def _look_for(program: str, path: Path, known: str | None) -> None:
    """Raises ConfigError for one that is not there, or that nobody may execute. One of the workspace may come to be."""
    if "/" not in program:
        found = Path(shutil.which(program, path=known) or "")
    elif program.startswith(("/", "./")):
        found = path.parent / program
    else:
        return
    if not found.is_file():
        hint = "./ leads to this file's folder, a plain name to PATH"
        raise _wrong(path, "there is no such program to `run`", value=program, hint=hint)
    if not os.access(found, os.X_OK):
        raise _wrong(path, "the program may not be executed", value=program, hint=f"chmod +x {found}")


def _schema_problem(schema: dict[str, Any]) -> str | None:
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(schema)
        validate({}, schema)
    except SchemaError as error:
        return f"{error.json_path.removeprefix('$.')}: {error.message}"
    except InputError as error:
        return error.message
    return None


def _wrong(path: Path, problem: str, *, value: object = None, hint: str = "") -> ConfigError:
    return ConfigError(f"scaffolder.scripts: {path}", problem, value=value, hint=hint)
