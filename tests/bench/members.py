"""A group with very many members, which exhausts upstream's heap: a part of `growth`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from greenroom.entity import LOCATION, ORIGIN_LOCATION, Entity
from tests.bench import weight
from tests.bench.asks import API, by_name, query
from tests.bench.entities import HOST
from tests.bench.ratio import say
from tests.bench.sides import FILES, Greenroom, answered, greenroom_alone, workspace, write
from tests.bench.table import Row, alone
from tests.bench.wire import Ask
from tests.conformance.client import serving

SECONDS, MEGABYTES = 2.0, 300.0
CHANGES = 5
REF = "group:default/everybody"

GROUP = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {{name: everybody, title: Everybody {number}}}
spec: {{type: organization, children: []}}
"""


async def stitched(number: int) -> list[Row]:
    """All of them join a group that is there already; then the group itself changes."""
    with workspace("members") as (folder, file):
        async with greenroom_alone(folder, file) as side, serving(folder / FILES) as address:
            await side.start(query("limit=0"))
            await side.feed()
            write(file, map(_user, range(number)))
            return await _measured(side, _Group(side, folder / FILES / "group.yaml"), f"{address}/group.yaml", number)


class _Group:
    """The file that says what the group is."""

    def __init__(self, side: Greenroom, file: Path) -> None:
        self._side, self._file = side, file
        self.write(0)

    def write(self, round_: int) -> None:
        self._file.write_text(GROUP.format(number=round_))

    async def change(self, round_: int, number: int) -> float:
        """Seconds until the change is served, with so many members."""
        self.write(round_)
        began = time.perf_counter()
        body = msgspec.json.encode({"entityRef": REF})
        await self._side.door.ask(Ask(f"{API}/refresh", "POST", body))
        asked = query(f"filter=kind=group,metadata.title=Everybody {round_}&limit=0")  # and not its megabytes
        await self._side.until(asked, lambda reply: answered(reply) and reply.json()["totalItems"] == 1)
        seconds = time.perf_counter() - began
        members = len((await self._side.door.ask(by_name(REF))).json()["relations"])
        if members != number:
            raise ValueError(f"the group is served with {members} members")
        return seconds


async def _measured(side: Greenroom, group: _Group, url: str, number: int) -> list[Row]:
    await side.door.ask(Ask(f"{API}/locations", "POST", msgspec.json.encode({"type": "url", "target": url})), 201)
    await side.until(by_name(REF), answered)
    say(f"{number:,} members join a group")
    weight.forget_peak(side.pid)
    began = time.perf_counter()
    await asyncio.gather(side.until_served(number + 2), side.feed())  # the group, and its location
    joined = time.perf_counter() - began
    peak = weight.peak(side.pid)
    await side.settle(2)
    weight.forget_peak(side.pid)
    taken = [await group.change(round_, number) for round_ in range(1, CHANGES + 1)]
    rows = [
        alone("members-joined", f"until {number:,} new members of a group are served", "s", [joined]),
        alone("members-joined-memory", "memory, at most meanwhile", "MB", [peak], MEGABYTES),
        alone("members", "until a change of that group itself is served", "s", taken, SECONDS),
        alone(
            "members-memory", "memory, at most meanwhile, reading it included", "MB", [weight.peak(side.pid)], MEGABYTES
        ),
    ]
    for row in rows:
        say(f"{row.what}: {row.greenroom.median:.2f} {row.unit}")
    return rows


def _user(index: int) -> Entity:
    location = f"url:https://{HOST}/org/users/blob/main/users.yaml"
    metadata = {"name": f"user-{index}", "annotations": {LOCATION: location, ORIGIN_LOCATION: location}}
    spec = {
        "profile": {"displayName": f"User {index}", "email": f"user-{index}@example.com"},
        "memberOf": ["everybody"],
    }
    return {"apiVersion": "backstage.io/v1alpha1", "kind": "User", "metadata": metadata, "spec": spec}
