"""How many requests a second a server answers to several clients, who each wait for one answer before they ask again."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.wire import TOKEN, Ask

CLIENTS = 8
TIMEOUT = 60
HOW_TO_GET_IT = "wrk is not installed: `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk`"

SCRIPT = """\
local asks = {
%s
}
local requests, turn = {}, 0
function init(args)
  for index, ask in ipairs(asks) do
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if ask.body then headers["Content-Type"] = "application/json" end
    requests[index] = wrk.format(ask.method, ask.target, headers, ask.body)
  end
end
function request()
  turn = turn %% #requests + 1
  return requests[turn]
end
function done(summary, latency, requests)
  local failed = summary.errors
  io.write(string.format("FOUND %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.timeout, failed.status))
  io.write("LATENCY")
  for part = 1, 99 do io.write(string.format(" %%d", latency:percentile(part))) end
  io.write("\\n")
end
"""
"""What is asked is made before the load begins, and each request is a look into a table."""


class LoadError(Exception):
    """A server under load did not answer all requests well"""


class Load(NamedTuple):
    """What `wrk` counted."""

    requests: int
    seconds: float
    latencies: Sequence[float]
    """The 1st to the 99th percentile, in milliseconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def missing() -> str | None:
    """How to get it, in one line; None if it is here."""
    return None if shutil.which("wrk") else HOW_TO_GET_IT


async def load(port: int, asks: Sequence[Ask], seconds: int, clients: int = CLIENTS) -> Load:
    """Put so many clients on a server, who ask all of it in turn. Raises LoadError when one answer was no good."""
    with tempfile.TemporaryDirectory(prefix="greenroom-wrk-") as name:
        script = _written(Path(name), asks)
        arguments = ["-t1", f"-c{clients}", f"-d{seconds}s", f"--timeout={TIMEOUT}s", "-s", str(script)]
        process = await asyncio.create_subprocess_exec(
            "wrk", *arguments, "-H", f"Authorization: Bearer {TOKEN}", f"http://127.0.0.1:{port}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            told = (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return counted(told)


def _written(folder: Path, asks: Sequence[Ask]) -> Path:
    script = folder / "asks.lua"
    script.write_text(lua(asks))
    return script


def lua(asks: Sequence[Ask]) -> str:
    """The script."""
    lines = [
        f'  {{method = "{ask.method}", target = {_quoted(ask.target)}'
        + (f", body = {_quoted(ask.body.decode())}}}," if ask.body else "},")
        for ask in asks
    ]
    return SCRIPT % "\n".join(lines)


def counted(told: str) -> Load:
    """Raises LoadError."""
    lines = {name: list(map(int, rest.split())) for name, _, rest in (line.partition(" ") for line in told.splitlines())
             if name in ("FOUND", "LATENCY")}  # fmt: skip
    if len(lines) < 2:
        raise LoadError(told)
    requests, microseconds, broken, refused = lines["FOUND"]
    if broken or refused or not requests:
        raise LoadError(f"{requests} answers, of them {refused} not 200; {broken} requests without one\n{told}")
    return Load(requests, microseconds / 1e6, [one / 1000 for one in lines["LATENCY"]])


def _quoted(text: str) -> str:
    """As a string of Lua in which nothing stands for anything else."""
    return f"[===[{text}]===]"
