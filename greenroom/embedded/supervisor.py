"""The process that keeps Postgres running for as long as anybody uses it: `python -m greenroom.embedded.supervisor`.

It belongs to no one process: whichever comes first starts it, and it ends after the last one has gone, which it learns
from a lock (`Home.users_lock`) that the kernel takes from a process that is killed. Nothing here trusts a process id
found in a file: after a crash, in a container, that id may be somebody else's.
"""

from __future__ import annotations

import itertools
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from greenroom.embedded.folders import Home
from greenroom.embedded.locks import ALONE, SHARED, open_lock, try_lock, wait_lock
from greenroom.embedded.programs import QUIET

LOG_LIMIT = 8 * 1024 * 1024
CLAIM_SECONDS = 5.0
STOP_SECONDS = 60.0
QUICK_SECONDS = 5.0
TICK = 1.0
TRIM_TICKS = 60
QUICK_ENDS = 3
"""Postgres that ends so often within `QUICK_SECONDS` is given up; whoever still uses it will try again, less often."""

_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|TMPDIR|(LD|DYLD)_LIBRARY_PATH|PYTHON\w+|__PYVENV_LAUNCHER__")
"""The variables that Python may need. The supervisor outlives us, and our secrets are none of its business."""


class Job(msgspec.Struct, frozen=True):
    """What to keep running, as one JSON argument."""

    home: Home
    programs: Path
    settings: dict[str, str]


class _Idle:
    """Nobody uses the server any more."""


class _Free(msgspec.Struct, frozen=True):
    """No process of Postgres is left; `lock` is the descriptor that now holds `Home.postmaster_lock`."""

    lock: int


def launch(job: Job) -> None:
    """Start a supervisor that outlives this process; returns (in some 100 ms) when it holds `Home.supervisor_lock`.

    Raises CalledProcessError when another supervisor has the lock."""
    command = [sys.executable, "-m", "greenroom.embedded.supervisor", msgspec.json.encode(job, enc_hook=str).decode()]
    environ = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    subprocess.run(  # noqa: S603
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=True, start_new_session=True
    )


def main(argument: str) -> int:
    """Take the supervisor's lock, leave the starter (who waits only for that), and keep Postgres."""
    job = msgspec.json.decode(argument, type=Job, dec_hook=lambda kind, text: kind(text))
    if not _claim(job.home):
        return 1
    sys.stdout.flush()
    if os.fork():
        os._exit(0)
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(
            ignored, signal.SIG_IGN
        )  # a service manager signals the whole group; the users decide when we end
    os.chdir("/")
    log = os.open(job.home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    Supervisor(job).keep()
    return 0


def _claim(home: Home) -> bool:
    """Others look at the lock for an instant now and then, hence the patience."""
    descriptor = open_lock(home.supervisor_lock)
    patience = time.monotonic() + CLAIM_SECONDS
    while not try_lock(descriptor, ALONE):
        if time.monotonic() > patience:
            return False
        time.sleep(0.01)
    return True


class Supervisor:
    """Starts Postgres whenever none of its processes is left, until it is idle or has failed too often in a row."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.news: queue.SimpleQueue[_Idle | _Free] = queue.SimpleQueue()
        self.process: subprocess.Popen[bytes] | None = None
        self.watched = -1
        self.started = 0.0
        self.quick_ends = 0

    def keep(self) -> None:
        """Run until there is nothing more to keep."""
        self._watch_users()
        self._watch_postmaster()
        while True:
            news = self._next_news()
            if isinstance(news, _Idle):
                self._stop()
                return
            if not self._may_start():
                _say(f"giving Postgres up: it ended {QUICK_ENDS} times within {QUICK_SECONDS:.0f} s of its start")
                os.close(news.lock)  # before the supervisor's, as in `_stop`
                return
            self._start(news.lock)
            self._watch_postmaster()

    def _watch_users(self) -> None:
        descriptor = open_lock(self.job.home.users_lock)

        def watch() -> None:
            wait_lock(descriptor, ALONE)
            self.news.put(_Idle())

        threading.Thread(target=watch, daemon=True).start()

    def _watch_postmaster(self) -> None:
        """Also sees the end of a Postgres that an earlier, killed supervisor has left behind, and which is kept on."""
        self.watched = descriptor = open_lock(self.job.home.postmaster_lock)

        def watch() -> None:
            wait_lock(descriptor, ALONE)
            self.news.put(_Free(descriptor))

        threading.Thread(target=watch, daemon=True).start()

    def _next_news(self) -> _Idle | _Free:
        ticks = itertools.count(1)
        while True:
            try:
                return self.news.get(timeout=TICK)
            except queue.Empty:
                self._hasten()
                if next(ticks) % TRIM_TICKS == 0:
                    trim(self.job.home.log)

    def _hasten(self) -> None:
        """Somebody else has told Postgres to stop, by SIGTERM, after which it lets nobody in and waits for those who are in: our
        pools, which do not leave by themselves. It shall stop at once, and be started again."""
        if self.process is not None and _stopping(self.job.home):
            self.process.send_signal(signal.SIGINT)  # to our own child, if it is still there

    def _may_start(self) -> bool:
        if self.process is not None:
            _say(f"Postgres ended with {self.process.wait()}; starting it again")
            self.quick_ends = self.quick_ends + 1 if time.monotonic() - self.started < QUICK_SECONDS else 0
            time.sleep(0.1 * self.quick_ends)
        return self.quick_ends < QUICK_ENDS

    def _start(self, lock: int) -> None:
        """The files that say "running" are left from a crash, since we hold the lock of those that run."""
        home = self.job.home
        for stale in (home.cluster / "postmaster.pid", *home.sockets.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        command = [str(self.job.programs / "postgres"), "-D", str(home.cluster), "-k", str(home.sockets)]
        for name, value in self.job.settings.items():
            command += ["-c", f"{name}={value}"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            env=QUIET,
            cwd=home.cluster,
            pass_fds=[lock],
            umask=0o077,
            **home.owner.run_as,
        )
        os.close(lock)  # from here on Postgres alone holds it

    def _stop(self) -> None:
        """A fast shutdown, which rolls transactions back and writes all to disk; an immediate one if it takes too long."""
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, STOP_SECONDS)):
            if (pid := self._postmaster()) is not None:
                with suppress(ProcessLookupError):  # one that we found may have ended just now
                    os.kill(pid, how)
            try:
                news = self.news.get(timeout=seconds)
            except queue.Empty:
                continue
            if isinstance(news, _Free):
                os.close(news.lock)  # before our own, which others wait for: then nothing is held any more
            break
        if self.process is not None:
            self.process.wait()
        shutil.rmtree(self.job.home.sockets, ignore_errors=True)

    def _postmaster(self) -> int | None:
        """The child's id, else that in the file of a Postgres we found running.

        By the lock: where we can have it, by whatever thread, the file is left from a crash, and the id somebody else's. Shared,
        so that those who only look at it are not taken for Postgres."""
        if self.process is not None:
            return self.process.pid if self.process.poll() is None else None
        if try_lock(self.watched, SHARED):
            return None
        try:
            lines = (self.job.home.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return int(lines[0]) if lines else None


def _stopping(home: Home) -> bool:
    """What Postgres says of itself in the eighth line of its file."""
    try:
        lines = (home.cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "stopping"


def trim(log: Path) -> None:
    """Keep a log that Postgres appends to from growing without end: one older copy stays."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def _say(text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    sys.stderr.write(f"{stamp} [supervisor {os.getpid()}] {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
