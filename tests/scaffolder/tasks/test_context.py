"""What an action can rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.errors import NotAllowedError, NotFoundError
from greenroom.plugin import ActionContext, action
from tests.scaffolder.tasks.rehearsal import made, run_steps

INFO = "\x1b[32minfo\x1b[39m: "


class Shout(msgspec.Struct):
    text: str
    times: int = 1


@action("acme:shout")
async def shout(ctx: ActionContext[Shout]) -> Mapping[str, str]:
    """Say it louder."""
    return {"text": ctx.input.text.upper() * ctx.input.times}


async def test_an_action_gets_its_input_as_the_struct_it_asks_for(tmp_path: Path) -> None:
    """Numbers that were computed are whole where they are: JavaScript knows no other."""
    outcome, _ = await run_steps(
        tmp_path,
        {"id": "s", "action": "acme:shout", "input": {"text": "a", "times": "${{ 6 / 2 }}"}},
        more=[shout],
        output="${{ steps.s.output }}",
    )
    assert outcome.output == {"text": "AAA"}


@action("acme:whisper", input_schema={})
async def whisper(ctx: ActionContext[Shout]) -> None:
    """Its schema says less than its type."""


async def test_an_input_that_does_not_fit_the_struct_is_told_of_by_its_place(tmp_path: Path) -> None:
    outcome, _ = await run_steps(
        tmp_path, {"action": "acme:whisper", "input": {"text": "a", "times": 1.5}}, more=[whisper]
    )
    assert outcome.error == {
        "name": "InputError",
        "message": "Invalid input passed to action acme:whisper, instance.times: Expected `int`, got `float`",
    }


async def test_an_action_sees_whose_task_it_works_for(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    async def run(ctx: ActionContext[Any]) -> None:
        seen.update(
            task=ctx.task_id,
            step=(ctx.step_id, ctx.step_name),
            template=ctx.template.entity_ref,
            user=ctx.user,
            secrets=dict(ctx.secrets),
            dry=ctx.dry_run,
        )

    user = {"ref": "user:default/jo", "entity": {"kind": "User"}}
    await run_steps(
        tmp_path, {"id": "a", "name": "A", "action": "x:y"}, more=[made("x:y", run)], user=user, secrets={"S": "value"}
    )
    assert seen == {
        "task": "task-1",
        "step": ("a", "A"),
        "template": "template:default/test",
        "user": user,
        "secrets": {"S": "value"},
        "dry": False,
    }


async def test_a_key_is_the_same_each_time_and_no_other_calls(tmp_path: Path) -> None:
    keys: list[str] = []

    async def run(ctx: ActionContext[Any]) -> None:
        keys.append(ctx.key)

    steps = ({"id": "a", "action": "x:y"}, {"id": "b", "action": "x:y", "each": [1, 2]})
    for _ in range(2):
        await run_steps(tmp_path, *steps, more=[made("x:y", run)])
    assert keys[:3] == keys[3:]
    assert len(set(keys)) == 3


async def test_no_path_of_a_template_leads_out(tmp_path: Path) -> None:
    async def run(ctx: ActionContext[Any]) -> None:
        (ctx.workspace / "base").mkdir()
        (ctx.workspace / "link").symlink_to("/etc")
        assert ctx.inside("a/b") == ctx.workspace / "a" / "b"
        for path, base in (
            ("../x", None),
            ("/etc/passwd", None),
            ("link/passwd", None),
            ("../x", ctx.workspace / "base"),
        ):
            with pytest.raises(NotAllowedError):
                ctx.inside(path, base)

    outcome, _ = await run_steps(tmp_path, {"action": "x:y"}, more=[made("x:y", run)])
    assert outcome.status == "completed", outcome.error


# --- programs ----------------------------------------------------------------------------------------------------


async def _ran(tmp_path: Path, *command: str, **options: Any) -> tuple[int, list[str]]:
    async def run(ctx: ActionContext[Any]) -> Mapping[str, Any]:
        return {"status": await ctx.run(*command, **options)}

    outcome, notebook = await run_steps(
        tmp_path,
        {"id": "a", "action": "x:y"},
        more=[made("x:y", run)],
        output={"status": "${{ steps.a.output.status }}"},
        secrets={"S": "s3cr3t-value"},
    )
    assert outcome.output is not None, outcome.error
    return outcome.output["status"], [line.removeprefix(INFO) for line in notebook.lines[2:-1]]


async def test_a_program_talks_into_the_log_without_secrets(tmp_path: Path) -> None:
    status, lines = await _ran(tmp_path, "sh", "-c", "echo out; echo err >&2; printf s3cr3t-value; exit 3")
    assert status == 3
    assert sorted(lines) == ["***", "err", "out"]


async def test_a_program_gets_its_input_and_no_more_of_the_environment_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "do-not-tell")
    status, lines = await _ran(tmp_path, "sh", "-c", "cat; env", stdin=b"given\n", env={"TOLD": "yes"})
    assert status == 0
    assert lines[0] == "given"
    assert "TOLD=yes" in lines
    assert not any("do-not-tell" in line for line in lines)
    assert next(line for line in lines if line.startswith("HOME=")).endswith("/task-1")


async def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    _, lines = await _ran(tmp_path, "echo", "$HOME; `id` && x", "-n")
    assert lines == ["$HOME; `id` && x -n"]


async def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    status, lines = await _ran(tmp_path, "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after")
    assert status == 0
    assert lines[0] == f"{'x' * 32768}… (the rest of the line is left out)"
    assert lines[1:] == ["after"]


async def test_what_a_program_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    status, lines = await _ran(tmp_path, "sh", "-c", "sleep 60 & echo done")
    assert (status, lines) == (0, ["done"])


async def test_a_daemon_that_a_program_makes_is_ended_with_it(tmp_path: Path) -> None:
    """It is in another session, and nobody's child."""
    alive = tmp_path / "alive"
    daemon = f"setsid sh -c 'while :; do date >>{alive}; sleep 0.02; done' >/dev/null 2>&1 &"
    talk = f"{daemon} while ! [ -e {alive} ]; do sleep 0.01; done; echo ready"
    assert await _ran(tmp_path, "sh", "-c", talk) == (0, ["ready"])
    alive.unlink()
    await asyncio.sleep(0.2)
    assert not alive.exists()


async def test_a_program_that_does_not_read_its_input_is_fine(tmp_path: Path) -> None:
    status, _ = await _ran(tmp_path, "true", stdin=b"x" * 1_000_000)
    assert status == 0


async def test_a_program_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    async def run(ctx: ActionContext[Any]) -> None:
        with pytest.raises(NotFoundError, match="The program 'no-such-program' is not there"):
            await ctx.run("no-such-program")

    outcome, _ = await run_steps(tmp_path, {"action": "x:y"}, more=[made("x:y", run)])
    assert outcome.status == "completed", outcome.error


async def test_a_program_cannot_fill_the_disk_with_one_file(tmp_path: Path) -> None:
    status, _ = await _ran(tmp_path, "sh", "-c", "ulimit -f; ulimit -c")
    assert status == 0
    _, lines = await _ran(tmp_path, "sh", "-c", "ulimit -f; ulimit -c; ulimit -n")
    assert lines == ["2097152", "0", "1024"]
