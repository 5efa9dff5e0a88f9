"""Real repositories on disk for the tests of the git plugin, made by `git fast-import`, in which any oddity can be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ENVIRON = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": "/nowhere"}


class Remote:
    """A bare repository that somebody pushes to."""

    def __init__(self, path: Path, branch: str = "main") -> None:
        self.path = path
        self.branch = branch
        self._commits = 0
        self.git("init", "--bare", "--quiet", f"--initial-branch={branch}", "--template=", str(path), at_home=False)

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def target(self, path: str, branch: str | None = None) -> str:
        """The URL under which the catalog knows a file."""
        return f"{self.url}/-/blob/{branch or self.branch}/{path}"

    def push(
        self,
        files: Mapping[str | bytes, str | bytes | tuple[str, str]],
        *,
        branch: str | None = None,
        force: bool = False,
    ) -> str:
        """Make this the whole tree of the branch. A tuple is a mode and a link's target or a submodule's commit.

        `force` leaves the branch's history behind. Returns the new commit."""
        ref = f"refs/heads/{branch or self.branch}"
        self._commits += 1
        stream = [
            f"commit {ref}\ncommitter T <t@example.org> {1_700_000_000 + self._commits} +0000\ndata 1\nx\n".encode()
        ]
        if not force and self.tip(branch):
            stream.append(f"from {ref}^0\n".encode())
        stream.append(b"deleteall\n")
        stream += [_line(path, content) for path, content in files.items()]
        self.git("fast-import", "--quiet", "--force", given=b"".join(stream))
        return self.tip(branch)

    def tip(self, branch: str | None = None) -> str:
        """The commit of a branch, empty without one."""
        ref = f"refs/heads/{branch or self.branch}"
        return self.git("for-each-ref", "--format=%(objectname)", ref).decode().strip()

    def delete_branch(self, branch: str) -> None:
        self.git("update-ref", "-d", f"refs/heads/{branch}")

    def set_head(self, branch: str) -> None:
        self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def git(self, *arguments: str, given: bytes = b"", at_home: bool = True) -> bytes:
        cwd = self.path if at_home else None
        return subprocess.run(
            ["git", *arguments], cwd=cwd, input=given, env=ENVIRON, check=True, capture_output=True
        ).stdout


def _line(path: str | bytes, content: str | bytes | tuple[str, str]) -> bytes:
    name = b'"' + b"".join(_quoted(byte) for byte in (path.encode() if isinstance(path, str) else path)) + b'"'
    if isinstance(content, tuple):
        mode, value = content
        if mode == "160000":
            return f"M 160000 {value} ".encode() + name + b"\n"
        return f"M {mode} inline ".encode() + name + f"\ndata {len(value.encode())}\n{value}\n".encode()
    data = content.encode() if isinstance(content, str) else content
    return b"M 100644 inline " + name + b"\ndata %d\n%s\n" % (len(data), data)


def _quoted(byte: int) -> bytes:
    return bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte
