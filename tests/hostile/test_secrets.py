"""Secrets that a template would carry out: they are nowhere in the clear, neither while a task runs nor after."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import stat

import pytest

from greenroom.db import Database
from tests.hostile.conftest import refused
from tests.hostile.workshop import Workshop, workshop

__all__ = ["workshop"]

SINKS = [
    {"action": "debug:log", "input": {"message": "${{ secrets.KEY }} ${{ secrets.KEY | upper }}"}},
    {"action": "roadiehq:utils:fs:write", "input": {"path": "${{ secrets.KEY }}", "content": "${{ secrets.KEY }}"}},
    {"action": "debug:log", "input": {"listWorkspace": "with-contents"}},
    {"action": "fs:readdir", "input": {"paths": ["."]}},
    {"action": "roadiehq:utils:serialize:json", "input": {"data": {"${{ secrets.KEY }}": "${{ secrets.KEY }}"}}},
    {"action": "roadiehq:utils:jsonata", "input": {"data": ["${{ secrets.KEY }}"], "expression": "$[0]"}},
    {"action": "debug:wait", "input": {"seconds": 1}},
    {"action": "roadiehq:utils:fs:parse", "if": "${{ always() }}", "input": {"path": "no/${{ secrets.KEY }}"}},
    {"action": "fetch:plain:file", "if": "${{ always() }}", "input": {"url": "http://${{ secrets.KEY }}.x/", "targetPath": "a"}},
    {"action": "catalog:fetch", "if": "${{ always() }}", "input": {"entityRef": "component:${{ secrets.KEY }}"}},
]  # fmt: skip


async def told_by(database: Database, secret: str) -> list[str]:
    """The tables in which it stands in the clear."""
    found = []
    for row in await database.fetch("select tablename from pg_tables where schemaname = 'public'"):
        table = row["tablename"]
        rows = await database.fetch(f'select t::text as whole from "{table}" t')  # noqa: S608 - our own names
        whole = "\n".join(one["whole"] for one in rows)
        if any(form in whole.lower() for form in (secret.lower(), secret.encode().hex())):
            found.append(table)
    return found


async def test_a_secret_is_nowhere_in_the_clear(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    secret = f"hush{secrets.token_hex(12)}"
    ref = await workshop.template(SINKS, output={"said": "${{ steps.s4.output.serialized }}"})
    with caplog.at_level(logging.DEBUG, "greenroom"):
        id_ = await workshop.start(ref, secrets={"KEY": secret})
        running: list[str] = []
        while "Beginning step Step" not in running or len(running) < 8:
            running = [one["body"]["message"] for one in (await workshop.get(f"tasks/{id_}/events?after=0")).json]
            await asyncio.sleep(0.02)
        folders = list(workshop.workspaces.iterdir())  # the workspace, and what stands beside it for a step
        assert {stat.S_IMODE(one.stat().st_mode) for one in folders} == {0o700}
        assert stat.S_IMODE(workshop.workspaces.stat().st_mode) == 0o700
        assert await told_by(workshop.world.database, secret) == []
        ended = await workshop.ended(id_)
    assert ended.status == "failed"
    assert await told_by(workshop.world.database, secret) == []
    assert secret not in ended.text.lower()
    assert secret not in (await workshop.get(f"tasks/{id_}")).text
    assert secret not in (await workshop.world.client.get("/metrics")).text
    logged = json.dumps([[one.getMessage(), {**one.__dict__}] for one in caplog.records], default=repr)
    assert secret not in logged.lower()
    assert not list(workshop.workspaces.iterdir())


async def test_a_dry_run_tells_no_secret(workshop: Workshop) -> None:
    secret = f"hush{secrets.token_hex(12)}"
    for count in range(1, len(SINKS) + 1):
        steps = [one for one in SINKS[:count] if one["action"] not in ("debug:wait", "roadiehq:utils:fs:write")]
        reply = await workshop.try_out(steps, secrets={"KEY": secret})
        assert secret not in reply.text.lower()


ODD = ["%00", "a%2Fb", "..%2F..", "x" * 5000, "%FF", "0", "-1", "' or 1=1 --", "%E2%80%AE"]


@pytest.mark.parametrize("id_", ODD)
async def test_an_odd_id_is_nobodys_task(workshop: Workshop, id_: str) -> None:
    for path in (f"tasks/{id_}", f"tasks/{id_}/events", f"tasks/{id_}/eventstream"):
        assert 400 <= (await workshop.get(path.replace(" ", "%20"))).status < 500, path
    for path in (f"tasks/{id_}/cancel", f"tasks/{id_}/retry"):
        assert 400 <= (await workshop.post(path.replace(" ", "%20"), {})).status < 500, path


@pytest.mark.parametrize("after", [2**31, 2**63 - 1, 2**63, 2**64, -1, -(2**63), "1e9", "x", "%00", "9" * 400])
async def test_an_odd_place_to_go_on_from_is_no_crash(workshop: Workshop, after: object) -> None:
    ended = await workshop.run([{"action": "debug:log", "input": {"message": "x"}}])
    for kind in ("events", "eventstream"):
        reply = await workshop.get(f"tasks/{ended.id}/{kind}?after={after}")
        assert reply.status in (200, 400), (kind, reply.status, reply.text[:300])


async def test_cancelling_and_retrying_at_once_ends_somewhere(workshop: Workshop) -> None:
    ref = await workshop.template([{"action": "debug:wait", "input": {"milliseconds": 20}}] * 3)
    ids = [await workshop.start(ref) for _ in range(10)]
    async with workshop.works_for_others(bound=10.0):
        for _ in range(3):
            told = await asyncio.gather(
                *(workshop.post(f"tasks/{id_}/{verb}", {}) for id_ in ids for verb in ("cancel", "retry", "cancel"))
            )
            assert {reply.status for reply in told} <= {200, 201, 409}, [one.text for one in told if one.status > 409]
        ended = [await workshop.ended(id_) for id_ in ids]
    assert {one.status for one in ended} <= {"failed", "completed"}


async def test_secrets_that_are_too_large_to_be_looked_for_are_refused(workshop: Workshop) -> None:
    ref = await workshop.template([{"action": "debug:log", "input": {"message": "x"}}])
    large = {"A": "x" * 60_000, "B": "y" * 6_000}
    words = "The secrets of a task may have 65536 characters together"
    assert words in refused(await workshop.post("tasks", {"templateRef": ref, "values": {}, "secrets": large}))
    assert words in refused(await workshop.try_out([], secrets=large))
    id_ = await workshop.start(ref)
    await workshop.ended(id_)
    assert words in refused(await workshop.post(f"tasks/{id_}/retry", {"secrets": large}))
