"""A repository that a template makes is in the catalog right after it is registered, in a server as it is installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from greenroom.errors import NotFoundError
from greenroom.plugin import Action, CatalogLocations, CatalogProviders, CatalogReader
from greenroom.testing import FakeActionContext
from greenroom.urls import Urls
from tests.plugins.git.repositories import ENVIRON
from tests.support.house import Opened, at_an_address
from tests.support.postgres import TestServer

DEMO = Path(__file__).resolve().parents[3] / "deploy" / "demo"
REF = "component:default/shop"
CATALOG_INFO = """apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: shop}
spec: {type: service, lifecycle: experimental, owner: platform}
"""


async def published(here: Opened, workspace: Path, **said: Any) -> dict[str, Any]:
    actions = here.house.house.services.all(Action)
    [action] = [one for one in actions if one.id == "publish:git"]
    given = {"repoUrl": "git.harbour-lights.example?owner=platform&repo=shop", "defaultBranch": "main", **said}
    ctx = FakeActionContext(msgspec.convert(given, action.input), workspace)
    return dict(await action.run(ctx) or {})


async def test_what_is_published_is_registered_at_once_and_followed(
    postgres_server: TestServer, tmp_path: Path
) -> None:
    folder = tmp_path / "repositories"
    command = [sys.executable, str(DEMO / "setup.py"), str(folder)]
    await asyncio.to_thread(subprocess.run, command, env=ENVIRON, check=True)
    text = (DEMO / "app-config.yaml").read_text(encoding="utf-8").replace("${GREENROOM_DEMO}", str(folder))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "catalog-info.yaml").write_text(CATALOG_INFO, encoding="utf-8")

    async with at_an_address(postgres_server, tmp_path, lambda address: text) as here:
        services = here.house.house.services
        outputs = await published(here, workspace)
        locations, urls = services.get(CatalogLocations, "test"), services.get(Urls, "test")
        url = urls.resolve("/catalog-info.yaml", outputs["repoContentsUrl"])
        assert urls.reads_folders(outputs["repoContentsUrl"])
        found = await locations.register(url, dry_run=True)
        assert [one["metadata"]["name"] for one in found.entities if one["kind"] == "Component"] == ["shop"]
        await locations.register(url)
        catalog = services.get(CatalogReader, "test")
        async with asyncio.timeout(60):
            while (await catalog.by_refs([REF]))[0] is None:
                await asyncio.sleep(0.05)
        [entity] = await catalog.by_refs([REF])
        assert entity is not None
        assert entity["metadata"]["annotations"]["backstage.io/managed-by-location"] == f"url:{url}"

        await services.get(CatalogProviders, "test").trigger("git:demo")
        template = f"{(folder / 'golden-paths.git').as_uri()}/-/blob/main/python-service/template.yaml"
        async with asyncio.timeout(60):
            while True:
                try:
                    tree = await urls.tree(urls.resolve("./skeleton", template))
                    break
                except NotFoundError:  # not looked at yet
                    await asyncio.sleep(0.05)
        assert {"pyproject.toml", ".github/workflows/ci.yaml"} < {file.path for file in tree.files}
