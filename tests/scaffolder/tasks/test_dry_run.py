"""Trying a template out: what the template editor shows, and what stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.auth import Credentials, UserPrincipal
from greenroom.errors import GreenroomError, NotAllowedError, NotFoundError
from greenroom.plugin import ActionContext
from greenroom.urls.service import Urls
from greenroom_scaffolder.actions.catalog import CatalogAsInitiator, catalog_actions
from greenroom_scaffolder.tasks.dry_run import DryRun, DryRuns
from greenroom_scaffolder.tasks.runner import Bounds
from greenroom_scaffolder.workspace.quota import Quota, QuotaError
from greenroom_scaffolder.workspace.workspace import Content
from tests.scaffolder.tasks.rehearsal import log, made, runner_of, spec_of


async def dry(
    root: Path,
    *steps: Mapping[str, Any],
    more: Any = (),
    files: Any = (),
    secrets: dict[str, str] | None = None,
    **spec: Any,
) -> DryRun:
    return await DryRuns(runner_of(root, *more)).run(spec_of(*steps, **spec), files=files, secrets=secrets)


def left(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_log_of_a_dry_run_is_upstreams(tmp_path: Path) -> None:
    result = await dry(tmp_path, log("x ${{ secrets.S }}", id="a", name="A"), secrets={"S": "s3cr3t-value"})
    assert result.log == [
        {"body": {"message": "Starting up task with 2 steps"}},
        {"body": {"stepId": "a", "status": "processing", "message": "Beginning step A"}},
        {
            "body": {
                "stepId": "a",
                "message": "\x1b[32minfo\x1b[39m: Running debug:log in dry-run mode with inputs (secrets redacted): "
                '{\n  "message": "x ***"\n}',
            }
        },
        {"body": {"stepId": "a", "message": '\x1b[32minfo\x1b[39m: {\n  "message": "***"\n}'}},
        {"body": {"stepId": "a", "message": "\x1b[32minfo\x1b[39m: ***"}},
        {"body": {"stepId": "a", "status": "completed", "message": "Finished step A"}},
    ]
    assert [list(line["body"]) for line in result.log[:2]] == [["message"], ["stepId", "status", "message"]]


async def test_whole_numbers_are_written_without_a_point_as_upstreams_are(tmp_path: Path) -> None:
    """JSON may say 1.0; JavaScript knows no such number."""
    seen: list[Any] = []

    async def look(ctx: ActionContext[Any]) -> None:
        seen.append(ctx.input)

    given = {"a": 1.0, "b": [2.0, -0.0, 2.5], "c": "${{ parameters.n }}"}
    step = {"id": "a", "name": "A", "action": "x:look", "input": given}
    result = await dry(
        tmp_path,
        step,
        more=[made("x:look", look, dry_run=True)],
        parameters={"n": 3.0},
        output={"n": 4.0, "p": "${{ parameters.n }}"},
    )
    assert [repr(seen), repr(result.output)] == ["[{'a': 1, 'b': [2, 0, 2.5], 'c': 3}]", "{'n': 4, 'p': 3}"]


async def test_an_action_that_takes_no_part_is_told_of_and_its_outputs_are_made_up(tmp_path: Path) -> None:
    async def publish(ctx: ActionContext[Any]) -> None:
        raise AssertionError("it was run")

    schema = {"type": "object", "properties": {"url": {"type": "string"}}}
    result = await dry(
        tmp_path,
        {"id": "p", "action": "x:publish", "input": {"a": 1}},
        more=[made("x:publish", publish, output_schema=schema)],
        output={"url": "${{ steps.p.output.url }}"},
    )
    assert result.output == {"url": "<example>"}
    assert [line["body"]["message"] for line in result.log[1:]] == [
        "Beginning step x:publish",
        '\x1b[32minfo\x1b[39m: Running x:publish in dry-run mode with inputs (secrets redacted): {\n  "a": 1\n}',
        "Skipping because x:publish does not support dry-run",
    ]


async def test_files_beside_the_template_are_there_and_those_that_are_made_are_shown(tmp_path: Path) -> None:
    async def copy(ctx: ActionContext[Any]) -> None:
        assert ctx.dry_run
        assert ctx.template.base_url is not None
        beside = Path(ctx.template.base_url.removeprefix("file://")).parent
        content = (beside / "skeleton" / "a.txt").read_text()
        made = ctx.inside("out.sh")
        made.write_text(content)
        made.chmod(0o755)

    result = await dry(
        tmp_path,
        {"action": "x:copy"},
        more=[made("x:copy", copy, dry_run=True)],
        files=[("skeleton/a.txt", b"hello")],
    )
    assert result.files == [Content("out.sh", b"hello", executable=True)]
    assert not left(tmp_path)


async def test_files_are_beside_the_template_wherever_workspaces_are(tmp_path: Path) -> None:
    async def look(ctx: ActionContext[Any]) -> dict[str, Any]:
        assert ctx.template.base_url is not None
        return {"there": (Path(ctx.template.base_url.removeprefix("file://")).parent / "a.txt").is_file()}

    root = tmp_path / "Über all @ 100%"
    root.mkdir()
    step = {"id": "look", "action": "x:look"}
    result = await dry(
        root,
        step,
        more=[made("x:look", look, dry_run=True)],
        files=[("a.txt", b"a")],
        output={"there": "${{ steps.look.output.there }}"},
    )
    assert result.output == {"there": True}


async def test_files_cannot_be_laid_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(NotAllowedError):
        await dry(tmp_path, log("x"), files=[("../escaped", b"x")])
    assert not left(tmp_path)


async def test_the_error_of_the_first_step_that_fails_is_the_answer(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Template action with ID 'nope:nope' is not registered"):
        await dry(
            tmp_path,
            {"action": "nope:nope"},
            {"action": "test:fail", "if": "${{ always() }}"},
        )


async def test_an_error_of_any_kind_keeps_its_name_and_not_its_secrets(tmp_path: Path) -> None:
    for raised in (
        ValueError("token s3cr3t-value"),
        NotFoundError("token s3cr3t-value", details={"t": "s3cr3t-value"}),
    ):

        async def fail(ctx: ActionContext[Any], error: Exception = raised) -> None:
            raise error

        with pytest.raises(GreenroomError) as failure:
            await dry(
                tmp_path, {"action": "x:y"}, more=[made("x:y", fail, dry_run=True)], secrets={"S": "s3cr3t-value"}
            )
        assert failure.value.message == "token ***"
        assert failure.value.name == ("ValueError" if isinstance(raised, ValueError) else "NotFoundError")
        assert "s3cr3t" not in repr(failure.value.details)


async def test_a_dry_run_knows_its_id(tmp_path: Path) -> None:
    result = await dry(tmp_path, output={"id": "${{ context.task.id }}"})
    assert result.output["id"].startswith("dry-run-")


async def test_the_token_of_who_tries_it_is_there_for_a_template_that_names_it_and_never_seen(tmp_path: Path) -> None:
    given: list[Any] = []

    async def take(ctx: ActionContext[Any]) -> None:
        given.append(ctx.input)
        ctx.log.info(f"with {ctx.input['a']}")

    step = {"id": "a", "name": "A", "action": "x:y", "input": {"a": "Bearer ${{ secrets.backstageToken }}"}}
    initiator = Credentials(UserPrincipal("user:default/jo"), "t0ken-of-jo")
    dry_runs = DryRuns(runner_of(tmp_path, made("x:y", take, dry_run=True)))
    result = await dry_runs.run(spec_of(step), files=[], secrets={}, initiator=initiator)
    assert given == [{"a": "Bearer t0ken-of-jo"}]
    assert "t0ken" not in str(result)


SMALL = Quota(max_bytes=1000)
TOO_MUCH = "more than the 1000 bytes that a task may have"


async def test_what_an_action_writes_by_itself_is_no_more_than_a_task_may_have(tmp_path: Path) -> None:
    async def write(ctx: ActionContext[Any]) -> None:
        (ctx.workspace / "a").write_bytes(b"x" * 2000)

    runner = runner_of(tmp_path, made("x:write", write, dry_run=True), bounds=Bounds(quota=SMALL))
    with pytest.raises(QuotaError, match=TOO_MUCH):
        await DryRuns(runner).run(spec_of({"action": "x:write"}, log("done")))
    assert left(tmp_path) == []


async def test_what_actions_write_together_is_no_more_than_a_task_may_have(tmp_path: Path) -> None:
    """By themselves, and through what they are given."""

    async def write(ctx: ActionContext[Any]) -> None:
        ctx.files.write(ctx.step_id, b"x" * ctx.input["size"])

    given = {"filePath": "c.yaml", "entity": {"metadata": {"name": "n", "description": "x" * 600}}}
    catalog = catalog_actions(CatalogAsInitiator(None, None), None, Urls([]), SMALL)
    runner = runner_of(tmp_path, made("x:write", write, dry_run=True), *catalog, bounds=Bounds(quota=SMALL))
    one, two = ({"action": "x:write", "input": {"size": size}} for size in (100, 600))
    with pytest.raises(QuotaError, match=TOO_MUCH):
        await DryRuns(runner).run(spec_of(one, {"action": "catalog:write", "input": given}, two))
