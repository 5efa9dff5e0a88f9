"""From a commit to its being served, by webhook, in a catalog of many entities: a part of `growth`."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.asks import by_name, query
from tests.bench.entities import entities
from tests.bench.ratio import say
from tests.bench.sides import Greenroom, answered, greenroom_alone, workspace, write
from tests.bench.table import Row, alone
from tests.bench.wire import Reply

COMMITS = 40
FILES = 1000
"""Catalog files in the one repository: one of them is changed by each commit."""
SECONDS = 2.0
"""At the 95th percentile."""
SECRET = "webhook-secret"

DESCRIBED = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{name: service-{file}, labels: {{round: r{round}}}}}
spec: {{type: service, lifecycle: production, owner: group:default/team-1}}
"""


async def committed(number: int) -> list[Row]:
    """Half a hundred commits, one after another, to a repository of a thousand files, beside so many other entities."""
    with workspace("webhook") as (folder, file):
        repository = _Repository(folder)
        repository.commit(dict.fromkeys(range(FILES), 0))
        write(file, entities(number))
        async with greenroom_alone(folder, file, repository.config) as side:
            say(f"{number:,} entities, and {FILES:,} from Git")
            await side.start(query("limit=0"))
            await side.until(query("limit=0&filter=metadata.labels.round=r0"), lambda reply: _total(reply) == FILES)
            await side.until(query("limit=0"), lambda reply: _total(reply) >= number + FILES)
            await side.settle()
            taken = [await _one(side, repository, round_) for round_ in range(1, COMMITS + 1)]
    late = sorted(taken)[int(len(taken) * 0.95)]
    what = f"from a commit to its being served, by webhook, at {number:,} entities"
    say(f"{what}: {late:.2f} s at the 95th percentile")
    return [
        alone("webhook", what, "s", taken),
        alone("webhook-p95", "the same, 95th percentile", "s", [late], SECONDS),
    ]


async def _one(side: Greenroom, repository: _Repository, round_: int) -> float:
    """From `git commit` on: the push, the webhook's delivery, and all that follows."""
    file = round_ * 7 % FILES
    repository.write({file: round_})
    began = time.perf_counter()
    await asyncio.to_thread(repository.push)
    await asyncio.to_thread(repository.announce, side.port)
    wanted = f"r{round_}"

    def shows(reply: Reply) -> bool:
        return answered(reply) and reply.json()["metadata"]["labels"]["round"] == wanted

    await side.until(by_name(f"component:default/service-{file}"), shows)
    seconds = time.perf_counter() - began
    await asyncio.sleep(0.2)  # pushes come one by one
    return seconds


def _total(reply: Reply) -> int:
    return int(reply.json()["totalItems"]) if answered(reply) else 0


class _Repository:
    """A bare repository, as a host keeps it, and a working copy of it."""

    def __init__(self, folder: Path) -> None:
        self._bare, self._work = folder / "remotes" / "shop.git", folder / "work"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(self._bare), cwd=folder)
        self._git("clone", "--quiet", str(self._bare), str(self._work), cwd=folder)

    @property
    def config(self) -> dict[str, Any]:
        """Of a provider that waits for webhooks."""
        one = {
            "repositories": [f"file://{self._bare}"],
            "paths": ["**/catalog-info.yaml"],
            "schedule": {"frequency": {"hours": 1}},
            "webhook": {"secret": SECRET},
        }
        return {"catalog": {"providers": {"git": {"shop": one}}}}

    def commit(self, rounds: dict[int, int]) -> None:
        """And push: each of these files says its round."""
        self.write(rounds)
        self.push()

    def write(self, rounds: dict[int, int]) -> None:
        for file, round_ in rounds.items():
            path = self._work / f"service-{file}" / "catalog-info.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(DESCRIBED.format(file=file, round=round_))

    def push(self) -> None:
        """Commit first."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Describe the services")
        self._git("push", "--quiet", "origin", "HEAD:main")

    def announce(self, port: int) -> None:
        """As a Git host does after a push."""
        pushed = {"ref": "refs/heads/main", "repository": {"clone_url": f"file://{self._bare}"}}
        body = msgspec.json.encode(pushed)
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "x-hub-signature-256": f"sha256={signature}",
            "x-github-event": "push",
        }
        request = urllib.request.Request(f"http://127.0.0.1:{port}/api/events/http/git", body, headers)
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - our own server
            pass

    def _git(self, *arguments: str, cwd: Path | None = None) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=cwd or self._work, check=True, capture_output=True)
