"""Random secrets pushed through everything that leaves a run: none of it may show one."""

from __future__ import annotations

import base64
import html
import json
import random
import string
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from greenroom.errors import GreenroomError
from greenroom.plugin import ActionContext
from greenroom_scaffolder.settings import Environment
from greenroom_scaffolder.tasks.dry_run import DryRuns
from greenroom_scaffolder.tasks.hiding import HIDDEN
from greenroom_scaffolder.tasks.runner import Bounds, Runner
from greenroom_scaffolder.tasks.task import Outcome, Task, TaskState, retried
from tests.scaffolder.tasks.rehearsal import Notebook, log, made, runner_of, spec_of, task_of

ALPHABET = string.ascii_letters + string.digits + "+/=-_.!$%&\"'\\ {}<>äß€😀"


def secret_of(chance: random.Random) -> str:
    """Between eight and forty characters, with something in the middle that no text has by chance."""
    around = ["".join(chance.choices(ALPHABET, k=chance.randint(0, 12))) for _ in range(2)]
    return (
        f"{around[0].strip()}{''.join(chance.choices(string.ascii_letters + string.digits, k=12))}{around[1].strip()}"
    )


def forms(secret: str) -> list[str]:
    """What must not be seen; more of them are tried in the tests of redaction."""
    data = secret.encode()
    return [
        secret,
        secret.upper(),
        secret.lower(),
        secret[::-1],
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        html.escape(secret),
        base64.b64encode(data).decode(),
        data.hex(),
    ]


async def _spill(ctx: ActionContext[Any]) -> Mapping[str, Any]:
    """An action that talks too much."""
    secret = ctx.secrets["S"]
    middle = len(secret) // 2
    for form in forms(secret):
        ctx.log.info(f"before {form} after")
        ctx.log.warn(form[: len(form) // 2])
        ctx.log.error(form[len(form) // 2 :])
    ctx.log.info(f"{secret[:middle]}\n{secret[middle:]}")
    await ctx.run("printf", "%s\\n%s\\n", secret, f"x{base64.b64encode(secret.encode()).decode()}y")
    await ctx.run("printf", "%s\\n%s\\n", secret[:middle], secret[middle:])
    ctx.log.info("end")
    return {"form": forms(secret), "nested": {secret: [secret]}}


async def _fail(ctx: ActionContext[Any]) -> None:
    for form in forms(ctx.secrets["S"]):
        ctx.log.error(form)
    told = f"cannot reach https://user:{ctx.secrets['S']}@host"
    if ctx.dry_run:
        raise GreenroomError(told, details={"s": ctx.secrets["S"]})
    raise ValueError(told) from KeyError(ctx.secrets["S"])


def spec(secret: str) -> dict[str, Any]:
    """With the secret also where no expression is: in a name."""
    return spec_of(
        {"id": "spill", "name": "Spill", "action": "x:spill", "input": {"a": "${{ secrets.S }}"}},
        log("${{ secrets.S }} and ${{ environment.secrets.E }}"),
        log("${{ secrets.S | upper }}", **{"if": "${{ secrets.S or true }}"}),
        log("${{ each.key }}: ${{ each.value }}", each={"k": "${{ secrets.S }}", "l": ["${{ secrets.S }}"]}),
        log("${{ secrets | dump }}", name=f"Log {secret}"),
        log("${{ steps.spill.output | dump }}"),
        {"id": "bad", "action": "debug:log", "input": {"message": 5, "${{ secrets.S }}": "${{ secrets.S }}"}},
        {"id": "fail", "action": "x:fail", "if": "${{ always() }}"},
        {"id": "unknown", "action": "x:unknown", "if": "${{ always() }}"},
        output={
            "links": [{"title": "${{ steps.spill.output.form }}", "url": "${{ secrets.S }}"}],
            "forms": "${{ steps.spill.output }}",
            "text": "${{ parameters.given }}",
            "env": "${{ environment.secrets.E }}",
        },
    )


def seen(what: str, secrets: list[str], told: Any) -> None:
    """Also where text was encoded once more, as it is for the wire."""
    for text in (json.dumps(told), json.dumps(told, ensure_ascii=False), *_texts(told)):
        for secret in secrets:
            for form in forms(secret):
                assert form not in text, (
                    f"{what} shows {secret!r} as {form!r}: …{text[max(0, text.find(form) - 60) :][:200]}"
                )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.items() for one in item for text in _texts(one)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list | tuple) else []


@pytest.mark.parametrize("seed", range(25))
async def test_no_secret_leaves_a_run(tmp_path: Path, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    secret, hidden = secret_of(chance), secret_of(chance)
    actions = [made("x:spill", _spill), made("x:fail", _fail)]
    runner = runner_of(tmp_path, *actions, environment=Environment({}, {"E": hidden}))
    whole = spec(secret)
    for todo in (whole["steps"], whole["steps"][:-3]):
        notebook = Notebook()
        task = task_of({**whole, "steps": todo, "parameters": {"given": secret}}, {"S": secret, "T": "x"})
        outcome = await runner.run(task, notebook)
        assert outcome.status == ("failed" if todo is whole["steps"] else "completed"), outcome
        assert any("end" in line for line in notebook.lines)
        seen("an event", [secret, hidden], notebook.events)
        _seen_joined(secret, notebook)
        seen("the outcome", [secret, hidden], [outcome.output, outcome.error])
        seen("a state", [secret, hidden], [state.error for state in notebook.states().steps.values()])
    seen("the server's log", [secret, hidden], caplog.text)


def _seen_joined(secret: str, notebook: Notebook) -> None:
    """Two lines behind each other must not show together what neither shows."""
    plain = "".join(line.split(": ", 1)[-1].strip() for line in notebook.lines)
    assert secret not in plain


@pytest.mark.parametrize("seed", range(25, 40))
async def test_no_secret_leaves_a_dry_run(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    secret, hidden = secret_of(chance), secret_of(chance)
    actions = [made("x:spill", _spill, dry_run=True), made("x:fail", _fail, dry_run=True)]
    runs = DryRuns(runner_of(tmp_path, *actions, environment=Environment({}, {"E": hidden})))
    whole = spec(secret)
    result = await runs.run(
        {**whole, "steps": whole["steps"][:-3], "parameters": {"given": secret}}, secrets={"S": secret}
    )
    seen("the log", [secret, hidden], result.log)
    seen("the output", [secret, hidden], result.output)
    failing = whole["steps"][-2:-1]
    with pytest.raises(GreenroomError) as failure:
        await runs.run({**whole, "steps": failing}, secrets={"S": secret})
    seen(
        "the error",
        [secret],
        [failure.value.message, str(failure.value), repr(failure.value.args), failure.value.details],
    )


async def test_a_text_that_was_made_of_a_secret_is_hidden_as_a_whole(tmp_path: Path) -> None:
    notebook = Notebook()
    spec = spec_of(log("hello abc ${{ parameters.n }} ${{ secrets.S }}"), parameters={"n": 3})
    await runner_of(tmp_path).run(task_of(spec, {"S": "s3cr3t"}), notebook)
    assert notebook.lines[3] == "\x1b[32minfo\x1b[39m: ***"


@pytest.mark.parametrize("times", [4_000, 9_000, 200_000])
async def test_of_a_text_that_was_made_of_a_secret_no_beginning_is_left_however_long_it_is(
    tmp_path: Path, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An error's message was cut first, and what a filter had made of a secret was shown where the text went on behind the cut."""
    message = "${{ secrets.S | replace('-', ' + ') }} battery" + " battery" * times
    fail = {"action": "test:fail", "input": {"message": message}}
    notebook = Notebook()
    outcome = await runner_of(tmp_path).run(task_of(spec_of(fail), {"S": "correct-horse-battery"}), notebook)
    assert str((outcome.error or {})["message"]).startswith("***")
    seen("the outcome", ["correct +", "battery battery"], [outcome.error, *notebook.lines, caplog.text])


async def test_a_word_that_depended_on_a_secret_does_not_break_the_links_of_the_output(tmp_path: Path) -> None:
    spec = spec_of(
        {"id": "a", "action": "test:answer", "input": {"visibility": "${{ 'private' if secrets.S else 'public' }}"}},
        output={"links": [{"title": "x", "url": "https://git.example/private/x"}]},
    )
    outcome = await runner_of(tmp_path).run(task_of(spec, {"S": "s3cr3t"}), Notebook())
    assert outcome == Outcome("completed", output={"links": [{"title": "x", "url": "https://git.example/private/x"}]})


# --- what another run goes on from -----------------------------------------------------------------------------------


async def _make(ctx: ActionContext[Any]) -> Mapping[str, Any]:
    """What the step was given, and what it has of the secret besides, is in its output, in a file and in a checkpoint."""

    async def remember() -> list[str]:
        return forms(ctx.secrets["S"])

    ctx.files.write("kept.txt", "\n".join(forms(ctx.secrets["S"])).encode())
    return {**ctx.input, "forms": await ctx.checkpoint("forms", remember)}


async def _read(ctx: ActionContext[Any]) -> Mapping[str, Any]:
    """The secret of an earlier run is nobody's to ask for."""
    text = (ctx.workspace / "kept.txt").read_text()
    for line in text.splitlines():
        ctx.log.info(line)
    return {"text": text, "secrets": sorted(ctx.secrets), "asked": ctx.input["asked"]}


def _stopper(*, stops: bool) -> Callable[[ActionContext[Any]], Any]:
    async def stop(ctx: ActionContext[Any]) -> None:
        if stops:
            raise ValueError("stop here")

    return stop


GOING_ON = spec_of(
    {
        "id": "make",
        "action": "x:make",
        "input": {
            "url": "https://x:${{ secrets.S }}@host",
            "piece": "${{ secrets.P | truncate(8, true, '') }}",
            "env": "${{ environment.secrets.E }}",
        },
    },
    {"id": "stop", "action": "x:stop"},
    log("pushing to ${{ steps.make.output.url }} / ${{ steps.make.output.piece }}"),
    log("${{ steps.make.output | dump }}", name="Log all"),
    {"id": "read", "action": "x:read", "input": {"asked": "${{ secrets.S or 'nothing' }}"}},
    {"action": "test:fail", "if": "${{ parameters.fail }}", "input": {"message": "${{ steps.make.output.url }}"}},
    output={"url": "${{ steps.make.output.url }}", "all": "${{ steps }}"},
)


def _runner(root: Path, environment: str, *, stops: bool) -> Runner:
    actions = [made("x:make", _make), made("x:stop", _stopper(stops=stops)), made("x:read", _read, idempotent=True)]
    return runner_of(root, *actions, environment=Environment({}, {"E": environment}))


async def _stopped(runner: Runner, task: Task) -> Notebook:
    notebook = Notebook()
    assert (await runner.run(task, notebook)).status == "failed"
    return notebook


def _left(notebook: Notebook, before: TaskState, *, died: bool = False) -> TaskState:
    """What a retry starts from. Of a process that died in the step that stops there is what was on disk when that began."""
    found = notebook.states(durable=died)
    return retried(TaskState({**before.steps, **found.steps}, {**before.checkpoints, **found.checkpoints}))


@pytest.mark.parametrize("given", ["none", "others", "the same"])
@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("seed", range(40, 45))
async def test_no_retry_shows_the_secrets_of_the_runs_before(
    tmp_path: Path, seed: int, died: bool, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)
    plain = "".join(chance.choices(string.ascii_letters, k=16))
    first = {"S": secret_of(chance), "P": plain}
    second = {"none": {}, "others": {"S": secret_of(chance), "P": secret_of(chance)}, "the same": first}[given]
    environments = [secret_of(chance) for _ in range(3)]
    shown: list[Any] = []
    spec = {**GOING_ON, "parameters": {"fail": died}}

    one = await _stopped(_runner(tmp_path, environments[0], stops=True), task_of(spec, first))
    state, archive = _left(one, TaskState(), died=died), one.archive(durable=died)
    assert state.steps["make"].status == "completed"
    again = task_of(spec, second, state=state, workspace=archive, resumed=True)
    two = await _stopped(_runner(tmp_path, environments[1], stops=True), again)
    state = _left(two, state, died=died)
    third = task_of(spec, {}, state=state, workspace=archive, resumed=True)
    three = Notebook()
    outcome = await _runner(tmp_path, environments[2], stops=False).run(third, three)
    assert outcome.status == ("failed" if died else "completed"), outcome
    assert any("pushing" in line or "***" in line for line in three.lines)
    if outcome.output:
        assert outcome.output["all"]["read"]["output"]["secrets"] == []
        assert outcome.output["all"]["read"]["output"]["asked"] == "nothing"

    for notebook in (one, two, three):
        shown += [notebook.events, [state.error for state in notebook.states().steps.values()]]
    secrets = [*first.values(), *second.values(), environments[0]]
    seen("a run", secrets, [*shown, outcome.output, outcome.error])
    seen("the server's log", secrets, caplog.text)
    assert not any(plain[:8] in line for line in three.lines)


async def test_a_run_that_goes_on_shows_no_more_than_one_that_was_not_interrupted(tmp_path: Path) -> None:
    secrets = {"S": "correct-horse-battery", "P": "abcdefghijklmnop"}
    whole = Notebook()
    await _runner(tmp_path, "of-the-house", stops=False).run(task_of(GOING_ON, secrets), whole)
    first = await _stopped(_runner(tmp_path, "of-the-house", stops=True), task_of(GOING_ON, secrets))
    state, archive = _left(first, TaskState(), died=True), first.archive(durable=True)
    second = Notebook()
    again = task_of(GOING_ON, secrets, state=state, workspace=archive, resumed=True)
    await _runner(tmp_path, "of-the-house", stops=False).run(again, second)
    after = "Finished step x:stop"
    assert second.lines[second.lines.index(after) :] == whole.lines[whole.lines.index(after) :]
    assert any(line.endswith(": ***") for line in second.lines)


async def test_nothing_is_on_disk_at_any_moment_that_a_retry_would_not_know_to_hide(tmp_path: Path) -> None:
    secrets = {"S": "correct-horse-battery", "P": "abcdefghijklmnop"}
    spec = {**GOING_ON, "steps": [*GOING_ON["steps"][:1], {**GOING_ON["steps"][0], "id": "again"}]}
    notebook = Notebook()
    await _runner(tmp_path, "of-the-house", stops=False).run(task_of(spec, secrets), notebook)
    holding = 0
    for moment in range(len(notebook.entries)):
        cut = Notebook()
        cut.entries = notebook.entries[:moment]
        hidden, kept = "", ""
        for key, known in cut.states().checkpoints.items():
            hidden, kept = (hidden + str(known), kept) if key.startswith(HIDDEN) else (hidden, kept + str(known))
        kept += str(cut.states().steps)
        for text in (*secrets.values(), "of-the-house", "abcdefgh"):
            holding += text in kept
            assert text in hidden or text not in kept
        assert cut.archive() is None or secrets["S"] in hidden
    assert holding > 10


async def test_what_is_hidden_is_written_once_and_only_with_what_may_hold_it(tmp_path: Path) -> None:
    say = log("${{ secrets.S }}")
    keep = {"action": "test:answer", "input": {"a": "${{ secrets.S }}!"}}

    async def entries(*steps: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Any]:
        notebook = Notebook()
        await runner_of(tmp_path, environment=Environment({}, {"E": "of-the-house"})).run(
            task_of(spec_of(*steps), secrets), notebook
        )
        known = notebook.states().checkpoints
        return [known[key].value for key in known if key.startswith(HIDDEN)]

    assert await entries(say, say, secrets={"S": "s3cr3t"}) == [], "nothing is kept"
    assert await entries(keep, keep, secrets={}) == [], "nothing is hidden"
    assert await entries(say, keep, keep, secrets={"S": "s3cr3t"}) == [
        {"given": ["s3cr3t"], "environment": ["of-the-house"], "texts": ["s3cr3t", "s3cr3t!"]}
    ]


async def test_a_task_that_was_given_more_than_can_be_hidden_later_does_not_go_on(tmp_path: Path) -> None:
    async def brief(ctx: ActionContext[Any]) -> Mapping[str, Any]:
        return {"a": "b"}

    runner = runner_of(tmp_path, made("x:brief", brief, idempotent=True), bounds=Bounds(answer=2_000))
    given = {"action": "x:brief", "input": {"a": "${{ parameters.long }} ${{ secrets.S }}"}}
    for length, told in ((1_000, "it broke"), (2_000, "It can begin anew")):
        spec = spec_of(given, {"action": "test:fail"}, parameters={"long": "x" * length})
        first = await _stopped(runner, task_of(spec, {"S": "s3cr3t"}))
        outcome = await runner.run(task_of(spec, {}, state=retried(first.states()), resumed=True), Notebook())
        assert told in str((outcome.error or {})["message"])


async def test_many_secrets_of_the_environment_keep_no_task_from_going_on(tmp_path: Path) -> None:
    """Nor where each run has others."""
    keep = {"action": "test:answer", "input": {"a": "${{ secrets.S }}", "b": "${{ environment.secrets.E0 }}"}}
    fail = {"action": "test:fail", "input": {"message": "${{ steps['step-1'].output.a }}"}}
    state = TaskState()
    for run in range(3):
        house = {f"E{number}": f"{run}-{number}-".ljust(1_400, "e") for number in range(100)}
        runner, notebook = runner_of(tmp_path, environment=Environment({}, house)), Notebook()
        spec = spec_of(*[keep] * (run + 1), fail)
        again = task_of(spec, {"S": "s3cr3t-value"} if run == 0 else {}, state=retried(state), resumed=run > 0)
        outcome = await runner.run(again, notebook)
        assert (outcome.error or {})["message"] == "***"
        state = _left(notebook, state, died=False)


async def test_a_task_of_an_earlier_release_goes_on(tmp_path: Path) -> None:
    """It wrote down nothing of the kind."""
    first = await _stopped(_runner(tmp_path, "e" * 9, stops=True), task_of(GOING_ON, {"S": "s3cr3t", "P": "p" * 9}))
    state = retried(first.states())
    older = {key: value for key, value in state.checkpoints.items() if not key.startswith(HIDDEN)}
    assert len(older) < len(state.checkpoints)
    again = task_of(GOING_ON, {}, state=TaskState(state.steps, older), workspace=first.archive(), resumed=True)
    assert (await _runner(tmp_path, "e" * 9, stops=False).run(again, Notebook())).status == "completed"
