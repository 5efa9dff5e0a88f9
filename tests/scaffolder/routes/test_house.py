"""The whole house at an address: a template is run over HTTP, and its events come as they happen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.house import Opened, at_an_address
from tests.support.postgres import TestServer
from tests.support.waiting import Wait, slowness

TOKEN = "a-token-of-the-tests"
TEMPLATE = """
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: say}
spec:
  type: service
  parameters: {required: [what], properties: {what: {type: string}}}
  steps:
    - {id: say, name: Say, action: "debug:log", input: {message: "I say ${{ parameters.what }} ${{ secrets.KEY }}"}}
    - {id: wait, name: Wait, if: "${{ parameters.slow }}", action: "debug:wait", input: {seconds: 30}}
  output: {said: "${{ parameters.what }}"}
"""


def config(folder: Path) -> Any:
    (folder / "template.yaml").write_text(TEMPLATE)

    def layer(address: str) -> str:
        return f"""
backend:
  baseUrl: {address}
  auth: {{externalAccess: [{{type: static, options: {{token: {TOKEN}, subject: tests}}}}]}}
catalog:
  locations: [{{type: file, target: {folder}/template.yaml, rules: [{{allow: [Template]}}]}}]
"""

    return layer


@pytest.fixture
async def house(postgres_server: TestServer, tmp_path: Path) -> AsyncIterator[Opened]:
    async with at_an_address(postgres_server, tmp_path, config(tmp_path)) as opened:
        yield opened


@pytest.fixture
async def api(house: Opened) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(
        f"{house.address}/api/scaffolder/v2/", headers=headers, connector=aiohttp.TCPConnector(limit=0)
    ) as session:
        async with asyncio.timeout(60):
            while (await session.get("templates/default/template/say/parameter-schema")).status != 200:
                await asyncio.sleep(0.02)
        yield session


async def create(api: aiohttp.ClientSession, **values: Any) -> str:
    wish = {"templateRef": "say", "values": values, "secrets": {"KEY": "hunter22"}}
    async with api.post("tasks", json=wish) as answer:
        told = await answer.json()
        assert answer.status == 201, told
    id_: str = told["id"]
    return id_


async def until_ended(api: aiohttp.ClientSession, task: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            async with api.get(f"tasks/{task}") as answer:
                told: dict[str, Any] = await answer.json()
            if told["status"] not in ("open", "processing"):
                return told
            await asyncio.sleep(0.01)


async def stream(api: aiohttp.ClientSession, task: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(60), api.get(f"tasks/{task}/eventstream") as answer:
        frames = (await answer.text()).split("\n\n")
    return [json.loads(frame.partition("\ndata: ")[2]) for frame in frames if frame.startswith("event: ")]


async def test_a_task_runs_from_the_wish_to_the_last_event(api: aiohttp.ClientSession) -> None:
    task = await create(api, what="hello")
    events = await stream(api, task)
    assert [event["body"]["message"] for event in events] == [
        "Starting up task with 2 steps",
        "Beginning step Say",
        '\x1b[32minfo\x1b[39m: {\n  "message": "***"\n}',
        "\x1b[32minfo\x1b[39m: ***",
        "Finished step Say",
        "Beginning step Wait",
        "Skipping step wait because its if condition was false",
        "Run completed with status: completed",
    ]
    assert events[-1]["body"]["output"] == {"said": "hello"}
    told = await until_ended(api, task)
    assert (told["status"], "createdBy" in told) == ("completed", False)
    assert "hunter22" not in json.dumps([events, told])


async def test_an_event_comes_within_a_tenth_of_a_second(api: aiohttp.ClientSession, house: Opened) -> None:
    waits = []
    for _ in range(3):
        task = await create(api, what="x", slow=True)
        async with api.get(f"tasks/{task}/eventstream") as answer:
            await heard(answer, b"Beginning step Wait")
            wait = Wait()
            async with api.post(f"tasks/{task}/cancel") as cancelled:
                assert (await cancelled.json()) == {"status": "cancelled"}
            await heard(answer, b"event: cancelled")
            waits.append(wait.seconds())
            rest = await asyncio.wait_for(answer.text(), 60)
        assert "(Wait) of task" in rest
        assert (await until_ended(api, task))["status"] == "failed"
    assert min(waits) < 0.1 * slowness()


async def test_500_streams_hear_of_five_tasks_through_the_database(api: aiohttp.ClientSession) -> None:
    tasks = [await create(api, what="x", slow=True) for _ in range(5)]
    streams = await asyncio.gather(*(api.get(f"tasks/{tasks[number % 5]}/eventstream") for number in range(500)))
    await asyncio.gather(*(heard(answer, b"Beginning step Wait") for answer in streams))
    wait = Wait()
    await asyncio.gather(*(api.post(f"tasks/{task}/cancel") for task in tasks))
    await asyncio.gather(*(heard(answer, b"event: cancelled") for answer in streams))
    assert wait.seconds() < 3.0 * slowness()  # a third of one, where nobody else computes
    ends = await asyncio.wait_for(asyncio.gather(*(answer.text() for answer in streams)), 60)
    assert all(text.count("event: completion") == 1 for text in ends)


async def heard(answer: aiohttp.ClientResponse, words: bytes) -> None:
    """Read on until a frame has these words."""
    async with asyncio.timeout(60):
        while words not in await answer.content.readuntil(b"\n\n"):
            pass


async def test_a_cancelled_task_is_gone_on_with(api: aiohttp.ClientSession) -> None:
    task = await create(api, what="x", slow=True)
    async with api.get(f"tasks/{task}/eventstream") as answer:
        while b"Beginning step Wait" not in await answer.content.readuntil(b"\n\n"):
            pass
    await api.post(f"tasks/{task}/cancel")
    await until_ended(api, task)
    async with api.post(f"tasks/{task}/retry", json={"secrets": {"KEY": "hunter23"}}) as answer:
        assert (answer.status, await answer.json()) == (201, {"id": task})
    async with api.get(f"tasks/{task}/events") as answer:
        events = await answer.json()
    assert any(event["type"] == "recovered" for event in events)
    assert sum(event["body"].get("message") == "Beginning step Say" for event in events) == 1
    await api.post(f"tasks/{task}/cancel")
    await until_ended(api, task)


async def test_actions_and_filters_of_all_plugins_are_told(api: aiohttp.ClientSession) -> None:
    async with api.get("actions") as answer:
        ids = [action["id"] for action in await answer.json()]
    assert {"debug:log", "fetch:template", "catalog:register", "publish:git"} <= set(ids)
    async with api.get("templating-extensions") as answer:
        assert {"parseRepoUrl", "parseEntityRef", "pick", "projectSlug"} <= set((await answer.json())["filters"])


async def test_figures_and_status_tell_of_tasks(api: aiohttp.ClientSession, house: Opened) -> None:
    await until_ended(api, await create(api, what="x"))
    status = (await house.house.house.status())["Scaffolder"]
    assert (status["tasks waiting"], status["tasks running"], status["tasks done"]) == (0, 0, 1)
    async with api.get(f"{house.address}/metrics") as answer:
        text = await answer.text()
    assert 'scaffolder_task_count{result="ok",template="template:default/say"} 1.0' in text


NUL = "a%00b"
MANY = 2**63 - 1
ODD = [
    f"tasks?createdBy={NUL}",
    f"tasks?status={NUL}&status=completed",
    f"tasks?order=asc:{NUL}",
    f"tasks?status=completed&limit={MANY}&offset=1",
    f"tasks?order=asc:created_by&limit={MANY}&offset=1",
    f"tasks?limit={MANY}0&offset={MANY}0",
    f"tasks/{NUL}",
    f"tasks/{NUL}/events",
    f"tasks/{NUL}/eventstream",
    "tasks/{task}/events?after=%00",
    "tasks/{task}/eventstream?after=%00",
    f"templates/default/template/{NUL}/parameter-schema",
    f"templates/{NUL}/template/say/parameter-schema",
    f"templates/default/{NUL}/say/parameter-schema",
]
WISHES: list[tuple[str, dict[str, Any]]] = [
    (f"tasks/{NUL}/cancel", {}),
    (f"tasks/{NUL}/retry", {}),
    ("tasks/{task}/retry", {"secrets": {"KEY": "\0", "\0": "x"}}),
    ("tasks", {"templateRef": "a\0b", "values": {}}),
    ("tasks", {"templateRef": "template:a\0/say", "values": {}}),
    ("tasks", {"templateRef": "say", "values": {"what": "\0", "\0": {"\0": "\0"}}, "secrets": {"\0": "\0"}}),
    (f"autocomplete/{NUL}/{NUL}", {"token": "\0", "context": {"\0": "\0"}}),
    ("dry-run", {"template": {"\0": "\0"}, "values": {}, "directoryContents": []}),
    (
        "dry-run",
        {
            "template": {
                "apiVersion": "scaffolder.backstage.io/v1beta3",
                "kind": "Template",
                "metadata": {"name": "\0"},
                "spec": {
                    "type": "\0",
                    "steps": [{"id": "\0", "action": "debug:log", "input": {"message": "\0"}}],
                },
            },
            "values": {"\0": "\0"},
            "secrets": {"\0": "\0"},
            "directoryContents": [{"path": "\0", "base64Content": "AA=="}],
        },
    ),
]


async def test_no_text_with_a_nul_and_no_number_is_an_error_of_the_servers_own(api: aiohttp.ClientSession) -> None:
    task = await create(api, what="x")
    await until_ended(api, task)
    answers = {}
    for place in ODD:
        async with api.get(URL(place.format(task=task), encoded=True)) as answer:
            answers[place] = (answer.status, (await answer.text())[:300])
    for place, body in WISHES:
        async with api.post(URL(place.format(task=task), encoded=True), json=body) as answer:
            answers[f"{place} {body}"] = (answer.status, (await answer.text())[:300])
    assert {place: told for place, told in answers.items() if told[0] >= 500} == {}
