"""Random secrets pushed through everything that leaves a run: none of it may show one."""

from __future__ import annotations

import base64
import html
import json
import random
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from greenroom.errors import GreenroomError
from greenroom.plugin import ActionContext
from greenroom_scaffolder.settings import Environment
from greenroom_scaffolder.tasks.dry_run import DryRuns
from greenroom_scaffolder.tasks.task import Outcome
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


async def test_a_word_that_depended_on_a_secret_does_not_break_the_links_of_the_output(tmp_path: Path) -> None:
    spec = spec_of(
        {"id": "a", "action": "test:answer", "input": {"visibility": "${{ 'private' if secrets.S else 'public' }}"}},
        output={"links": [{"title": "x", "url": "https://git.example/private/x"}]},
    )
    outcome = await runner_of(tmp_path).run(task_of(spec, {"S": "s3cr3t"}), Notebook())
    assert outcome == Outcome("completed", output={"links": [{"title": "x", "url": "https://git.example/private/x"}]})
