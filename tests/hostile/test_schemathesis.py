"""The served documents, attacked by a tool that reads them as a stranger would: no crash, and nothing that they do not tell of."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.hostile.conftest import World
from tests.support.asgi import TOKEN

EXAMPLES = os.environ.get("HOSTILE_EXAMPLES", "5")
"""Inputs of each kind for each operation (`make hostile`: many)."""
SEED = "20261121"
PHASES = "coverage,fuzzing,stateful"


DOCUMENTS = ["catalog", "greenroom", "scaffolder"]


@pytest.mark.parametrize("plugin", DOCUMENTS)
async def test_nothing_made_from_the_document_breaks_the_server_or_the_documents_word(
    world: World, tmp_path: Path, plugin: str
) -> None:
    config = Path(__file__).with_name("schemathesis.toml")
    document = f"{world.address}/api/{plugin}/openapi.json"
    async with world.answers_others():
        attack = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", document,
            "--header", f"Authorization: Bearer {TOKEN}", "--phases", PHASES, "--max-examples", EXAMPLES, "--seed", SEED,
            "--no-color", "--warnings", "off", "--continue-on-failure",
            cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await attack.communicate()
    assert attack.returncode == 0, said.decode(errors="replace")[-10_000:]


async def test_no_document_is_left_out(world: World) -> None:
    reply = await world.client.get("/.greenroom/docs/documents.json")
    assert sorted(one["plugin"] for one in reply.json) == DOCUMENTS
