"""A process that publishes a folder once: for a test that kills it. `publishing_once.py TMP WORKSPACE MESSAGE`."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from greenroom.urls import Integrations
from greenroom_plugins.git.command import Git
from greenroom_plugins.git.commits import Author, Commit
from greenroom_plugins.git.publishing import Publisher
from greenroom_plugins.git.settings import PublishConfig, PublishFolder


async def main(tmp: Path, workspace: Path, message: str) -> None:
    folder = PublishFolder("git.local", str(tmp / "srv"))
    publisher = Publisher(Git(tmp / "cache"), PublishConfig([folder]), Integrations.from_config())
    said = Commit("main", message, Author("Jo", "jo@example.org"), datetime(2026, 11, 22, 1, tzinfo=UTC))
    target = publisher.by_repo_url("git.local?owner=team&repo=app")
    print("begins", flush=True)  # noqa: T201 - to the test
    done = await publisher.publish(workspace, target, said, onto_existing=message != "First")
    print(done.commit, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
