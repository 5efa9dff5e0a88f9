"""A command -> its exit status: run in a session of its own, line by line into the log, and ended with all that it started."""

from __future__ import annotations

import asyncio
import codecs
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import sleep
from typing import Any
from uuid import uuid4

import msgspec

from greenroom.errors import InputError, NotFoundError
from greenroom_scaffolder.workspace.threads import in_thread

GRACE = 5.0
"""Seconds from asking a program to end (TERM) to ending it (KILL)."""
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a program needs to run at all. Never `HOME`: what stands there is the server's."""
_MARK = "GREENROOM_RUN"
"""By this variable those are known who left the session of their command."""
_CHUNK = 64 * 1024
PLENTY = 32 * 1024 * 1024
"""Bytes of output that are read as fast as they come, and told. What follows is left out, and read at leisure."""
_LINE = 200
"""Bytes charged for each line besides its own: a short line costs as much to log as that."""
_LEISURE = 0.002
"""Seconds after each chunk."""
_LAST_WORDS = 0.5
_ROUNDS = 100
_QUIET = 5
"""Looks in a row that find nobody: one that starts the next, and ends, may be missed between two."""
_AGAIN = 0.01
"""Seconds from one look to the next."""
_LIMITED = """
ulimit -c 0; ulimit -f "$1"; ulimit -n "$2"; ulimit -u "$3" 2>/dev/null || ulimit -p "$3" 2>/dev/null
shift 3; exec "$@"
"""
"""Shells call the number of processes by one letter or the other."""


class ProgramLimits(msgspec.Struct, frozen=True):
    """What the system holds each process of a command to."""

    file_bytes: int = 1024**3
    open_files: int = 1024
    processes: int = 4096
    """Processes and threads of the server's user together, beyond which a command can start no more. Root has no such limit."""
    line: int = 32 * 1024
    """Characters of a line of output; the rest of it is left out."""


async def run_program(
    command: Sequence[str],
    tell: Callable[[str], Awaitable[None]],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    limits: ProgramLimits = ProgramLimits(),  # noqa: B008 - frozen
) -> int:
    """Run it, `tell` each line of its output and errors, and answer its exit status (minus the signal that ended it).

    When this is cancelled, or ends otherwise, so does every process of the command. Raises NotFoundError for a program that is
    not there, InputError for a folder that is not there."""
    mark = uuid4().hex
    around = {name: value for name, value in os.environ.items() if name in _KEPT} | {"HOME": str(cwd)} | dict(env or {})
    around[_MARK] = mark
    program = _located(command, cwd, around)
    with _given(stdin) as given:
        output, process = await _start([program, *command[1:]], given, cwd, around, limits)
    ending = asyncio.ensure_future(_until_end(process))
    try:
        await _lines(output.reader, ending, tell, limits.line)
        return await ending
    finally:
        output.transport.close()
        try:
            await _end(process, ending)
        finally:
            await in_thread(lambda: _end_marked(mark))


class _Output(msgspec.Struct):
    """The end of a pipe that is read. (With a pipe of asyncio's own, `wait` would wait for all who hold its other end.)"""

    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport


@contextmanager
def _given(stdin: bytes | None) -> Iterator[int]:
    """A file to read from: nobody has to wait for a program that does not."""
    if stdin is None:
        yield DEVNULL
        return
    with TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file.fileno()


def _located(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """The program's path."""
    if not command or any("\0" in part for part in command):
        raise InputError("There is no command to run")
    if not cwd.is_dir():
        raise InputError("The folder to run the program in is not there")
    program = shutil.which(command[0], path=env.get("PATH")) if "/" not in command[0] else command[0]
    if program is None:
        raise NotFoundError(f"The program '{command[0]}' is not there")
    return program


async def _start(
    command: Sequence[str], stdin: int, cwd: Path, env: Mapping[str, str], limits: ProgramLimits
) -> tuple[_Output, Process]:
    bounds = (str(limits.file_bytes // 512), str(limits.open_files), str(limits.processes))
    reading, writing = os.pipe()
    output = await _reading(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _LIMITED, "sh", *bounds, *command),
            stdin=stdin,
            stdout=writing,
            stderr=STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    except BaseException:
        output.transport.close()
        raise
    finally:
        os.close(writing)
    return output, process


async def _reading(descriptor: int) -> _Output:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    return _Output(reader, transport)


async def _until_end(process: Process) -> int:
    """What the command leaves running is ended with it."""
    status = await process.wait()
    _signal(process, signal.SIGKILL)
    return status


async def _lines(
    output: asyncio.StreamReader, ending: asyncio.Future[int], tell: Callable[[str], Awaitable[None]], longest: int
) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest, cut, size = "", False, 0
    while chunk := await _read(output, ending):
        size += len(chunk) + _LINE * chunk.count(b"\n")
        if size > PLENTY:
            await tell(f"(what the program says from here on is left out: it is more than {PLENTY // 1024**2} MB)")
            return await _drain(output, ending)
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in whole:
            await tell(_shown(line, longest, cut=cut))
            cut = False
        if len(rest) > longest:  # of a line without end only so much is kept
            rest, cut = rest[:longest], True
    rest += decoder.decode(b"", final=True)
    if rest:
        await tell(_shown(rest, longest, cut=cut))
    return None


async def _drain(output: asyncio.StreamReader, ending: asyncio.Future[int]) -> None:
    """Nobody is told of what comes: the program must not wait for that, nor others for the reading of it."""
    while await _read(output, ending):  # noqa: ASYNC110 - to be slow is what it is for
        await asyncio.sleep(_LEISURE)


async def _read(output: asyncio.StreamReader, ending: asyncio.Future[int]) -> bytes:
    """A piece of output, empty at its end. Nobody waits for one who fled from the command's session with the pipe in hand."""
    reading = asyncio.ensure_future(output.read(_CHUNK))
    either: set[asyncio.Future[Any]] = {reading, ending}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait({reading}, timeout=_LAST_WORDS)
        return reading.result() if reading.done() else b""
    finally:
        if not reading.done():
            reading.cancel()


def _shown(line: str, longest: int, *, cut: bool) -> str:
    line = line.removesuffix("\r")
    return f"{line[:longest]}… (the rest of the line is left out)" if cut or len(line) > longest else line


async def _end(process: Process, ending: asyncio.Future[int]) -> None:
    """TERM, a while of grace, KILL; nobody who is cancelled meanwhile leaves without having ended it."""
    if not ending.done():
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait({ending}, timeout=GRACE)
        finally:
            _signal(process, signal.SIGKILL)
    await asyncio.wait({ending})


def _end_marked(mark: str) -> None:
    """End those who made a session of their own (daemons), and what they start meanwhile. Where there is no /proc they stay, and so
    does who starts another and ends faster than one can look."""
    wanted = f"{_MARK}={mark}".encode()
    quiet = _QUIET - 1  # where there is nobody, as mostly, two looks are enough
    for _ in range(_ROUNDS):
        found = [pid for pid in _processes() if wanted in _environment(pid)]
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        quiet = 1 if found else quiet + 1
        if quiet > _QUIET:
            return
        sleep(_AGAIN)


def _processes() -> list[int]:
    """The youngest first: who has just been started may soon be gone."""
    try:
        return sorted((int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit()), reverse=True)
    except OSError:
        return []


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is somebody else's
        return []


def _signal(process: Process, number: signal.Signals) -> None:
    """To the whole group, which is the command's own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
