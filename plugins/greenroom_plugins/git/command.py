"""Arguments -> what git says: the git command, run without a shell, hooks, prompts, other protocols, or patience without end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import IO

from greenroom.errors import GreenroomError
from greenroom.settings import SECRET, Discreet
from greenroom_plugins.git.addresses import Address

MAX_OUTPUT = 64 * 1024 * 1024
_KEPT_OF_STDERR = 8 * 1024
_CHUNK = 256 * 1024

_SAFE_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=no",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "protocol.version=2",
)

_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|XDG_CONFIG_HOME|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|(https?|all|no)_proxy"
    r"|GIT_SSL_CA(INFO|PATH)|GIT_SSH(_COMMAND|_VARIANT)?|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|GIT_EXEC_PATH",
    re.IGNORECASE,
)
"""Variables of ours that git may see: no passwords among them, and nothing that points it to another repository."""

ASKPASS = r"""#!/bin/sh
# Answers git's question for a password, for the one host it is meant for.
case "$1" in
  "Username for '$GREENROOM_GIT_ORIGIN': ") printf '%s\n' "$GREENROOM_GIT_USERNAME" ;;
  "Password for '${GREENROOM_GIT_ORIGIN%%://*}://$GREENROOM_GIT_USERNAME@${GREENROOM_GIT_ORIGIN#*://}': ")
    printf '%s\n' "$GREENROOM_GIT_TOKEN" ;;
  *) exit 1 ;;
esac
"""


class GitError(GreenroomError):
    """Git could not do it"""


class TooMuchError(GitError):
    """Git answered more than was asked for"""


class Access(Discreet, frozen=True):
    """A remote repository and what opens it."""

    address: Address
    username: str | None = None
    token: str | None = None


class Git:
    """Runs git. One instance serves any number of repositories and of calls at a time."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        """`folder` is ours alone; it gets the small program that hands a token to git."""
        self._folder = folder
        self._environ = {
            name: value
            for name, value in (environ if environ is not None else os.environ).items()
            if _PASSED_ON.fullmatch(name)
        }

    async def run(
        self,
        *arguments: str | bytes,
        access: Access | None = None,
        cwd: Path | None = None,
        given: bytes | IO[bytes] = b"",
        limit: int = MAX_OUTPUT,
        within: timedelta = timedelta(minutes=3),
        keeps_open: Sequence[int] = (),
        fine: Collection[int] = (0,),
    ) -> bytes:
        """All of its output. Raises GitError, which says why in plain words, also beyond `limit` bytes or the time.

        `access` is the only remote that it may talk to; `keeps_open` are file descriptors that it shall inherit; `fine` are
        the exit codes of a git that went well."""
        output = bytearray()
        async with self._process(arguments, access, cwd, given, within, keeps_open, fine) as process:
            while chunk := await _read(process):
                output += chunk
                if len(output) > limit:
                    raise TooMuchError(f"git {_verb(arguments)} answered more than {limit} bytes")
        return bytes(output)

    async def spill(
        self,
        into: IO[bytes],
        *arguments: str | bytes,
        access: Access | None = None,
        cwd: Path | None = None,
        given: bytes = b"",
        limit: int = MAX_OUTPUT,
    ) -> None:
        """All of its output into a file, for what is too much to hold. Raises as `run` does."""
        size = 0
        async with self._process(arguments, access, cwd, given, timedelta(minutes=3), ()) as process:
            while chunk := await _read(process):
                size += len(chunk)
                if size > limit:
                    raise TooMuchError(f"git {_verb(arguments)} answered more than {limit} bytes")
                await asyncio.to_thread(into.write, chunk)

    async def records(
        self, *arguments: str | bytes, cwd: Path, access: Access | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Its output, record by record as they end with a zero byte. Use it inside `contextlib.aclosing`."""
        rest = b""
        async with self._process(arguments, access, cwd, b"", timedelta(minutes=3), ()) as process:
            while chunk := await _read(process):
                *whole, rest = (rest + chunk).split(b"\0")
                for record in whole:
                    yield record

    @asynccontextmanager
    async def _process(
        self,
        arguments: Sequence[str | bytes],
        access: Access | None,
        cwd: Path | None,
        given: bytes | IO[bytes],
        within: timedelta,
        keeps_open: Sequence[int],
        fine: Collection[int] = (0,),
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        settings = [part for setting in _SAFE_SETTINGS for part in ("-c", setting)]
        environ = await self._environment(access)
        try:
            process = await asyncio.create_subprocess_exec(
                "git", *settings, *arguments,
                stdin=asyncio.subprocess.PIPE if isinstance(given, bytes) else given,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=cwd, env=environ, start_new_session=True, pass_fds=keeps_open,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise GitError("the git command is not installed, or its working folder is gone", cause=error) from error
        complaints = asyncio.ensure_future(_tail(process.stderr))
        giving = asyncio.ensure_future(_give(process, given if isinstance(given, bytes) else b""))
        try:
            async with asyncio.timeout(within.total_seconds()):
                yield process
                await process.wait()
        except TimeoutError as error:
            seconds = within.total_seconds()
            raise GitError(f"git {_verb(arguments)} took longer than {seconds:g} s, and was stopped") from error
        finally:
            await _end(process)
            giving.cancel()
            said = await _said(complaints)
        if process.returncode not in fine:
            raise explain(_verb(arguments), said.decode("utf-8", "replace"), access)

    async def _environment(self, access: Access | None) -> dict[str, str]:
        environ = {
            **self._environ,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOW_PROTOCOL": access.address.scheme if access else "none",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
        }
        environ.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ControlMaster=no")
        if access and access.token and access.address.scheme in ("https", "http"):
            environ["GIT_ASKPASS"] = str(await asyncio.to_thread(self._askpass))
            environ["GREENROOM_GIT_ORIGIN"] = f"{access.address.scheme}://{access.address.host}"
            environ["GREENROOM_GIT_USERNAME"] = access.username or ""
            environ["GREENROOM_GIT_TOKEN"] = access.token
        return environ

    def _askpass(self) -> Path:
        program = self._folder / "askpass.sh"
        if not program.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._folder / f"askpass.{token_hex(8)}"
            fresh.write_text(ASKPASS, encoding="utf-8")
            fresh.chmod(0o700)
            fresh.replace(program)
        return program


_DENIED = (
    r"could not read (Username|Password)|Authentication failed|terminal prompts disabled|Permission denied|error: 40[13]"
    r"|HTTP Basic: Access denied|unable to get password"
)
_EXPLANATIONS = (
    (
        r"dubious ownership",
        "it belongs to another user (let git trust it: `git config --system --add safe.directory`)",
    ),
    (_DENIED, "access denied (check `credentials`, or the ssh key)"),
    (r"Host key verification failed", "the ssh host is not known (add it to known_hosts)"),
    (
        r"Repository not found|does not (appear to be|exist)|not found|No such file or directory|error: 404",
        "not found (check the URL, and whether the credentials may see it)",
    ),
    (r"Could not resolve host", "its host name does not resolve (check the URL and DNS)"),
    (
        r"Connection refused|timed out|Failed to connect|Operation too slow|Network is unreachable|Connection reset",
        "its host does not answer",
    ),
    (r"SSL|certificate", "its TLS certificate is not trusted (set GIT_SSL_CAINFO)"),
    (r"transport '.*' not allowed", "git was led to a protocol that is not allowed"),
)


def explain(verb: str, said: str, access: Access | None = None) -> GitError:
    """What git complained of, in plain words with a hint, and its own last line; without any secret."""
    said = re.sub(r"://[^/@\s]+@", "://", said)
    if access and access.token:
        said = said.replace(access.token, SECRET)
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("hint:")]
    last = next(
        (line for line in lines if line.startswith(("fatal:", "error:", "remote:"))),
        lines[-1] if lines else "no reason given",
    )
    reason = next((text for pattern, text in _EXPLANATIONS if re.search(pattern, said, re.IGNORECASE)), "")
    where = f"{access.address.url}: " if access else ""
    return GitError(f"{where}{reason}: {last[:500]}" if reason else f"{where}git {verb} failed: {last[:500]}")


def _verb(arguments: Sequence[str | bytes]) -> str:
    """The sub-command, past options such as `-c x=y`."""
    plain = iter(arguments)
    for argument in plain:
        word = os.fsdecode(argument)
        if word == "-c":
            next(plain, None)
        elif not word.startswith("-"):
            return word
    return ""


async def _read(process: asyncio.subprocess.Process) -> bytes:
    return await process.stdout.read(_CHUNK) if process.stdout else b""


async def _give(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # git has stopped listening: its exit says why
        process.stdin.write(given)
        await process.stdin.drain()
    process.stdin.close()


async def _tail(stream: asyncio.StreamReader | None) -> bytes:
    kept = b""
    while stream and (chunk := await stream.read(_CHUNK)):
        kept = (kept + chunk)[-_KEPT_OF_STDERR:]
    return kept


async def _said(complaints: asyncio.Future[bytes]) -> bytes:
    """Git has ended. A daemon that it left behind, such as ssh's, may hold on to its standard error for as long as it likes."""
    try:
        return await asyncio.wait_for(complaints, 2)
    except TimeoutError:
        return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    """Nothing of it, nor of its helpers, is left running."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        while await _read(process):  # unread output would keep asyncio from noticing the end
            pass
    await process.wait()
