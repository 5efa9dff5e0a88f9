"""Script + a running side -> outcomes: asks, remembers what later requests need, walks cursors, changes served files."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from tests.conformance.compare import Outcome, lookup, only_count
from tests.conformance.oracle import home
from tests.conformance.script import Act, Request, Script, encode_query, fill, generated_name, targets
from tests.conformance.scrub import Answer, Scrubber

FILES_SAID, ROOT_SAID, SELF_SAID, HOME_SAID = "http://files.test", "/datasets", "http://self.test", "/oracle"
LONGEST_WALK = 200
LONGEST_WAIT = 120.0


class Raw(msgspec.Struct):
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A web server on a free port that answers any GET; yields its base URL."""
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """A web server for one data set's files, on a free port; yields its base URL. `/status/<code>/…` answers that code."""

    async def file(request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[0] == "status":
            return web.Response(status=int(parts[1]), text="as you wish")
        path = folder / request.path.lstrip("/")
        return web.FileResponse(path) if path.is_file() else web.Response(status=404, text="nothing here")

    async with answering(file) as base:
        yield base


def copied_files(script: Script, folder: Path) -> Path:
    """The data set's files in a place where a script may change them."""
    root = folder / "files"
    if (script.folder / "files").exists():
        return Path(shutil.copytree(script.folder / "files", root))
    root.mkdir()
    return root


def variables(script: Script, files: str, root: Path, base: str = "") -> dict[str, str]:
    """What `${…}` may name before the first answer: `files` is the base URL of served files, `root` their folder."""
    known = {"files": files, "root": str(root), "self": base}
    return known | {name: generated_name(fill(location, known)) for name, location in script.generated.items()}


def scrubber(script: Script, known: Mapping[str, str]) -> Scrubber:
    """Generated names hash the address of a file, so each is mapped to the name it would have at FILES_SAID."""
    texts = {known["files"]: FILES_SAID, known["root"]: ROOT_SAID, known["self"]: SELF_SAID, str(home()): HOME_SAID}
    addresses = [f"{kind}:{target}" for target in targets(script, known) for kind in ("url", "file")]
    for location in (*addresses, *(fill(location, known) for location in script.generated.values())):
        said = location.replace(known["files"], FILES_SAID).replace(known["root"], ROOT_SAID)
        texts[generated_name(location)] = generated_name(said)
    return Scrubber({found: said for found, said in texts.items() if found})


class Run:
    """One pass through a script against one side."""

    def __init__(
        self,
        script: Script,
        known: Mapping[str, str],
        *,
        session: aiohttp.ClientSession,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        """`known` comes from `variables`; `settle` returns once the side has processed and stitched everything."""
        self.script, self.known, self.session, self.settle = script, dict(known), session, settle
        self.scrubber = scrubber(script, known)

    async def outcomes(self) -> list[Outcome]:
        """In the order of the script's requests."""
        results: list[Outcome] = []
        for step in self.script.steps:
            if isinstance(step, Act):
                await self._act(step)
            else:
                results.append(await self.outcome(step))
        return results

    async def _act(self, act: Act) -> None:
        root = Path(self.known["root"])
        for name, text in act.write.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(fill(text, self.known))
        for name in act.remove:
            (root / name).unlink()
        if act.settle:
            await self.settle()

    async def outcome(self, request: Request) -> Outcome:
        """Ask one request, with what it saves and walks."""
        raw = await self._asked_until(request)
        for name, path in request.save.items():
            self.known[name] = self._saved(raw, path)
        outcome = Outcome(name=request.name, answer=self._scrub(request, raw))
        if request.order == "count":
            outcome.answer.body = only_count(outcome.answer.body)
        if request.walk:
            await self._walk(request, raw, outcome)
        return outcome

    def _saved(self, raw: Raw, path: str) -> str:
        if path == "@link":
            return raw.headers.get("link", "").partition("<")[2].partition(">")[0]
        if path == "@etag":
            return raw.headers.get("etag", "")
        found = lookup(raw.json(), path) if raw.headers.get("content-type", "").startswith("application/json") else None
        return str(found) if isinstance(found, str | int) else "nothing-was-saved"

    def _scrub(self, request: Request, raw: Raw) -> Answer:
        return self.scrubber.answer(raw.status, raw.headers, raw.content, security=request.security)

    async def _asked_until(self, request: Request) -> Raw:
        """The answer, or the last one when it does not come to what is waited for."""
        deadline = asyncio.get_running_loop().time() + LONGEST_WAIT
        while True:
            raw = await self._ask(request)
            there = raw.status == 200 and all(lookup(raw.json(), at) == value for at, value in request.until.items())
            if not request.until or there or raw.status != 200 or asyncio.get_running_loop().time() > deadline:
                return raw
            await asyncio.sleep(0.05)

    async def _ask(self, request: Request) -> Raw:
        path = fill(request.path, self.known)
        query = encode_query(fill(request.query, self.known))
        body = fill(request.raw, self.known).encode() + b" " * request.filler if request.raw is not None else None
        headers = dict(request.headers)
        if request.json is not msgspec.UNSET:
            body = json.dumps(fill(request.json, self.known)).encode()
            headers.setdefault("Content-Type", "application/json")
        if request.as_ is not None:
            headers.setdefault("Authorization", f"Bearer {fill(request.as_, self.known)}")
        return await self._send(request.method, f"{path}{'?' * bool(query)}{query}", fill(headers, self.known), body)

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Raw:
        async with self.session.request(
            method,
            URL(self.known["self"] + path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "Accept-Encoding"),
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Raw(answer.status, found, await answer.read())

    async def _walk(self, request: Request, first: Raw, outcome: Outcome) -> None:
        forward = await self._pages(request, first, "nextCursor")
        outcome.forward = [self._scrub(request, page) for page in forward]
        if any(page.status != 200 for page in (first, *forward)):
            return
        back = await self._pages(request, forward[-1], "prevCursor") if forward else []
        outcome.back = [self._scrub(request, page) for page in back]
        there = [uid for page in [first, *forward][: len(back)] for uid in _uids(page)]
        outcome.turned = there == [uid for page in reversed(back) for uid in _uids(page)]

    async def _pages(self, request: Request, page: Raw, direction: str) -> list[Raw]:
        pages: list[Raw] = []
        while page.status == 200 and (cursor := page.json()["pageInfo"].get(direction)) and len(pages) < LONGEST_WALK:
            page = await self._ask(_following(request, cursor))
            pages.append(page)
        return pages


def _following(request: Request, cursor: str) -> Request:
    """The request for another page: the cursor carries filter and order, the rest is asked again."""
    if request.method == "POST":
        kept = {key: value for key, value in cast("dict[str, Any]", request.json).items() if key in ("limit", "fields")}
        return msgspec.structs.replace(request, json=kept | {"cursor": cursor})
    split = urlsplit(request.path)
    asked = {**dict(parse_qsl(split.query)), **request.query}
    kept = {key: value for key, value in asked.items() if key in ("limit", "fields")}
    return msgspec.structs.replace(request, get=split.path, query=kept | {"cursor": cursor})


def _uids(page: Raw) -> list[str]:
    """Identities where the answer has them, else the items themselves."""
    return [str(lookup(item, "metadata.uid") or item) for item in page.json()["items"]]
