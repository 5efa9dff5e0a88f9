"""catalog_client.mjs against a backend -> what every method of upstream's client answered, comparable with another run.

python -m tests.clients.driving     asks upstream, and writes its answers into recorded.json
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conformance.client import FILES_SAID, SELF_SAID, serving
from tests.conformance.oracle import upstream
from tests.conformance.script import TOKEN, generated_name
from tests.conformance.scrub import Scrubber
from tests.support.node import installed

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded.json"
PACKAGE = "@backstage/catalog-client"


async def driven(address: str, files: str, modules: Path) -> dict[str, Any]:
    """What the script printed: `answers` by name, and the methods of the client that were `undriven`."""
    environ = {**os.environ, "BASE": address, "FILES": files, "TOKEN": TOKEN}
    process = await asyncio.create_subprocess_exec(
        shutil.which("node") or "node",
        str(FOLDER / "catalog_client.mjs"),
        env=environ,
        cwd=modules.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    names = [f"{files}/{path.name}" for path in (FOLDER / "files").iterdir()]
    generated = {generated_name(f"url:{name}"): f"generated-for-{name.rpartition('/')[2]}" for name in names}
    said = {files: FILES_SAID, files.upper(): FILES_SAID.upper(), address: SELF_SAID}
    found: dict[str, Any] = Scrubber({**generated, **said}).value(json.loads(out))
    return found


async def driven_upstream(modules: Path) -> dict[str, Any]:
    """The same of upstream, on an empty database and ports of its own."""
    async with _upstream() as address, serving(FOLDER / "files") as files:
        return await driven(address, files, modules)


@asynccontextmanager
async def _upstream() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        layer = Path(folder) / "config.yaml"
        layer.write_text("catalog: {orphanStrategy: delete}\n")
        async with upstream(None, layer) as oracle:
            yield oracle.base


def main() -> int:
    modules = installed(PACKAGE)
    if modules is None:
        sys.exit(f"needs {PACKAGE}: npm ci in {FOLDER}")
    found = asyncio.run(driven_upstream(modules))
    RECORDED.write_text(json.dumps(found["answers"], indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
