"""folder -> a repository that others can clone: one commit, in a configured folder or pushed to a Git host.

A commit follows from its content and words alone, so that who publishes it again after a crash finds it there.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import time
from urllib.parse import quote

import msgspec

from greenroom.errors import ConflictError, InputError, NotAllowedError
from greenroom.urls import Integrations, parse
from greenroom_plugins.git.addresses import WITH_HTTP, Address, fill, forms
from greenroom_plugins.git.command import Access, Git, GitError
from greenroom_plugins.git.commits import Commit, files_in, write_stream
from greenroom_plugins.git.settings import PublishConfig, PublishFolder

PUSH_WITHIN = timedelta(minutes=10)
_WORKSHOP = ".publishing-"
_LONG_AGO = 86_400
"""Seconds."""
_NO_HELPERS = ("-c", "credential.helper=")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._\-]{0,99}")


class Target(msgspec.Struct, frozen=True):
    """Where something is published."""

    access: Access
    url: str
    """What people clone."""
    form: str
    """The URL of a file in it, with `{branch}` and `{path}`."""
    folder: Path | None = None
    """Of a repository on this machine, which is made if it is not there."""


class Published(msgspec.Struct, frozen=True):
    """What has come of it."""

    commit: str
    remote_url: str
    contents_url: str
    """The root of the branch, where files are read: `<contents_url>/catalog-info.yaml`."""
    files: int


class Publisher:
    """Publishes to what the operator has named, and to nothing else."""

    def __init__(self, git: Git, config: PublishConfig, integrations: Integrations) -> None:
        self._git, self._integrations = git, integrations
        self._folders = {one.host: one for one in config.folders}
        self._hosts = {one.host: one for one in config.hosts}

    # --- where

    def by_repo_url(self, repo_url: str, token: str | None = None) -> Target:
        """What `host?owner=team&repo=name` means. Raises InputError (upstream's texts), NotAllowedError."""
        try:
            parsed = parse(f"https://{repo_url}")
        except InputError as error:
            raise InputError(f"Invalid repo URL passed to publisher, got {repo_url}, TypeError: Invalid URL") from error
        host, told = parsed.host, dict(reversed(parsed.parameters()))
        if not self._may(host):
            raise InputError(
                f"No matching integration configuration for host {host}, please check your integrations config"
            )
        for name in ("repo", "owner"):
            if not told.get(name):
                raise InputError(f"Invalid repo URL passed to publisher: {parsed.href}, missing {name}")
        parts = [*told["owner"].strip("/").split("/"), told["repo"].strip("/").removesuffix(".git")]
        if not all(is_part(part) for part in parts):
            raise InputError(f"Invalid repo URL passed to publisher: {parsed.href}, owner or repo is no name")
        if host in self._folders:
            return _in_folder(self._folders[host], "/".join(parts))
        scheme = self._hosts[host].scheme if host in self._hosts else "https"
        return self.by_remote_url(f"{scheme}://{host}/{'/'.join(parts)}.git", token)

    def by_remote_url(self, remote_url: str, token: str | None = None) -> Target:
        """A clone URL. Raises InputError, and NotAllowedError for a host that config does not name."""
        address = Address.parse(remote_url, WITH_HTTP)
        for folder in self._folders.values():
            if (inside := _within(folder, address)) is not None:
                return _in_folder(folder, inside)
        host = re.sub(r":\d+$", "", address.host) if address.scheme == "ssh" else address.host
        if address.scheme == "file" or not self._may(host):
            raise NotAllowedError(
                f"Publishing to '{address.url}' is not allowed. You may need to name its host at 'scaffolder.publishGit.hosts'"
            )
        named = self._hosts.get(host)
        if address.scheme == "http" and not (named and named.dangerously_allow_http):
            raise NotAllowedError(
                f"Publishing to '{address.url}' is not allowed: by http all on the way see the token. Use https, or allow it "
                "by `dangerouslyAllowHttp` of the host at 'scaffolder.publishGit.hosts'"
            )
        if named is None and not (token and address.scheme == "https"):
            raise InputError(
                f"No token provided for host {host}: give one, or name the host at 'scaffolder.publishGit.hosts'"
            )
        username, own = (named.username, named.token) if named else ("x-access-token", None)
        return Target(Access(address, username, token or own), address.url, forms(address, self._integrations)[0])

    def _may(self, host: str) -> bool:
        return host in self._folders or host in self._hosts or self._integrations.by_url(f"https://{host}/") is not None

    # --- what

    async def publish(
        self, folder: Path, target: Target, commit: Commit, *, description: str = "", onto_existing: bool = False
    ) -> Published:
        """Make all that is in a folder, but what its `.gitignore` leaves out, the content of a branch.

        What is there already just so, is left as it is. Raises ConflictError for a repository that has something else,
        unless it may be built upon; GitError."""
        async with self._workshop(target, commit, description) as shop:
            paths = await self._paths(folder, shop)
            made = await self._commit(shop, folder, paths, commit, None)
            if not _moved(shop, target):
                made = await self._push(shop, folder, paths, target, commit, made, onto_existing=onto_existing)
        contents = fill(target.form, commit.branch, b"").rstrip("/")
        return Published(made, target.url, contents, len(paths))

    @asynccontextmanager
    async def _workshop(self, target: Target, commit: Commit, description: str) -> AsyncIterator[Path]:
        """A bare repository of our own: where the target is on this machine, in the place from which it can be moved there."""
        above = target.folder.parent if target.folder else None
        if above is not None:
            await asyncio.to_thread(_ready, above)
        with tempfile.TemporaryDirectory(prefix=_WORKSHOP, dir=above, ignore_cleanup_errors=True) as folder:
            shop = Path(folder) / "new.git"
            branch = f"--initial-branch={commit.branch}"
            await self._git.run("init", "--bare", "--quiet", "--template=", branch, "--", str(shop))
            if description:
                (shop / "description").write_text(" ".join(description.split()) + "\n", encoding="utf-8")
            yield shop

    async def _paths(self, folder: Path, shop: Path) -> list[bytes]:
        paths = await asyncio.to_thread(files_in, folder)
        if not any(path == b".gitignore" or path.endswith(b"/.gitignore") for path in paths):
            return paths
        said = await self._git.run(
            f"--git-dir={shop}", f"--work-tree={folder}",
            "-c", "core.bare=false", "-c", f"core.excludesFile={os.devnull}", "check-ignore", "--no-index", "-z", "--stdin",
            cwd=folder, given=b"".join(b"./%s\0" % path for path in paths), fine=(0, 1),
        )  # fmt: skip
        ignored = frozenset(said.split(b"\0"))
        return [
            path for path in paths if b"./" + path not in ignored
        ]  # the dot: no name of a file is then magic to git

    async def _commit(
        self, shop: Path, folder: Path, paths: Sequence[bytes], commit: Commit, parent: str | None
    ) -> str:
        with tempfile.TemporaryFile(dir=shop) as stream:
            await asyncio.to_thread(write_stream, stream, folder, paths, commit, parent)
            stream.seek(0)
            await self._git.run("fast-import", "--quiet", "--force", cwd=shop, given=stream, within=PUSH_WITHIN)
        return await self._tip(shop, f"refs/heads/{commit.branch}")

    async def _tip(self, shop: Path, ref: str) -> str:
        return (await self._git.run("rev-parse", "--verify", ref, cwd=shop)).decode().strip()

    async def _push(
        self,
        shop: Path,
        folder: Path,
        paths: Sequence[bytes],
        target: Target,
        commit: Commit,
        made: str,
        *,
        onto_existing: bool,
    ) -> str:
        """The commit that stands there in the end."""
        ref = f"refs/heads/{commit.branch}"
        heads = await self._heads(target)
        there = heads.get(ref, "")
        if there == made or (there and await self._same(shop, target, there, made)):
            return there
        if heads and not onto_existing:
            raise ConflictError(f"The repository {target.url} already exists, and has something else in it")
        if there:
            made = await self._commit(shop, folder, paths, commit, there)
        try:
            await self._git.run(
                *_NO_HELPERS, "push", "--quiet", f"--force-with-lease={ref}:{there}",
                "--", target.access.address.url, f"{made}:{ref}",
                cwd=shop, access=target.access, within=PUSH_WITHIN,
            )  # fmt: skip
        except GitError:
            # The git of a process that was killed may still have pushed it, or be the one that we came too late for.
            if (await self._heads(target)).get(ref) != made:
                raise
        return made

    async def _heads(self, target: Target) -> dict[str, str]:
        """The commit of each branch of the remote."""
        said = await self._git.run(
            *_NO_HELPERS, "ls-remote", "--heads", "--", target.access.address.url, access=target.access
        )
        return {ref: commit for commit, _, ref in (line.partition("\t") for line in said.decode().splitlines())}

    async def _same(self, shop: Path, target: Target, there: str, made: str) -> bool:
        """Whether what stands there has the very same files. Leaves the commit here, to build upon."""
        await self._git.run(
            *_NO_HELPERS, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head",
            "--", target.access.address.url, there,
            cwd=shop, access=target.access,
        )  # fmt: skip
        return await self._tip(shop, f"{there}^{{tree}}") == await self._tip(shop, f"{made}^{{tree}}")


def _moved(shop: Path, target: Target) -> bool:
    """Whether the repository is where it belongs now: a new one on this machine, there at once with all its content.

    (Not in a thread: who is told to stop meanwhile would clear the workshop while it is being moved.)"""
    if target.folder is None or target.folder.exists():
        return False
    with suppress(OSError):  # somebody has made it meanwhile
        shop.rename(target.folder)
        return True
    return False


def _ready(folder: Path) -> None:
    """Make the folder, and forget the workshops of processes that died long ago."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_WORKSHOP}*"):
        with suppress(FileNotFoundError):  # whoever works there has just finished
            if time() - left.stat().st_mtime > _LONG_AGO:
                shutil.rmtree(left, ignore_errors=True)


def address_in(folder: PublishFolder, inside: str) -> tuple[Path, str]:
    """Where a repository of a folder is, and the URL that people clone."""
    path = Path(folder.path) / f"{inside}.git"
    url = f"{folder.url.rstrip('/')}/{quote(inside)}.git" if folder.url else path.as_uri()
    return path, url


def _in_folder(folder: PublishFolder, inside: str) -> Target:
    path, url = address_in(folder, inside)
    return Target(Access(Address.parse(path.as_uri())), url, f"{url}/-/blob/{{branch}}/{{path}}", path)


def _within(folder: PublishFolder, address: Address) -> str | None:
    """The repository of the folder that a clone URL means, None if it means none."""
    for base in (folder.url, Path(folder.path).as_uri()):
        rest = address.url.removeprefix(f"{base.rstrip('/')}/") if base else address.url
        if rest != address.url:
            inside = rest.removesuffix(".git")
            return inside if "/" in inside and all(is_part(part) for part in inside.split("/")) else None
    return None


def is_part(part: str) -> bool:
    """Whether this can be the name of an owner or a repository."""
    return _PART.fullmatch(part) is not None and not part.endswith((".git", ".lock", "."))
