"""URL of a step -> a folder or a file to read: beside the template, or behind a URL that a reader knows."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from greenroom.errors import InputError
from greenroom.plugin import ActionContext, TemplateInfo, TreeFile
from greenroom.urls.service import Urls
from greenroom.urls.whatwg import InvalidUrlError, is_url, parse
from greenroom_scaffolder.actions.skeletons import Skeleton
from greenroom_scaffolder.workspace.descent import FileError, Listed, open_to_read, place
from greenroom_scaffolder.workspace.quota import Quota
from greenroom_scaffolder.workspace.threads import folder_beside, in_thread
from greenroom_scaffolder.workspace.workspace import Workspace

_WITH_USER_TOKENS = ("github", "gitlab")
_CHUNK = 1024 * 1024


class Fetched(Protocol):
    """What all inputs of fetching actions have."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str | None: ...


class Beside(NamedTuple):
    """Something in the folder of a template, or that folder itself."""

    root: Path
    path: str
    whole: Path
    """Both in one."""


class Sources:
    """Where templates fetch from (upstream's fetchContents and fetchFile)."""

    def __init__(self, urls: Urls, quota: Quota, *, only_with_user_token: bool = False) -> None:
        """With `only_with_user_token` (`scaffolder.requireScmUserCredentials`) steps bring a token for GitHub and GitLab."""
        self._urls = urls
        self._quota = quota
        self._only_with_user_token = only_with_user_token

    def check(self, ctx: ActionContext[Any], wanted: Fetched) -> None:
        """Raises InputError for a host that wants the user's own token, and has none."""
        if not self._only_with_user_token or wanted.token:
            return
        url = wanted.url if is_url(wanted.url) else ctx.template.base_url
        integration = self._urls.integrations.by_url(url) if url and is_url(url) else None
        if url and integration is not None and integration.type in _WITH_USER_TOKENS:
            raise InputError(
                f"No user credentials provided for host {parse(url).host}, but scaffolder.requireScmUserCredentials is enabled"
            )

    @asynccontextmanager
    async def folder(self, ctx: ActionContext[Any], wanted: Fetched) -> AsyncIterator[Skeleton]:
        """What is to be laid out, for as long as the context lasts.

        Raises NotAllowedError for one outside the template's, FileError, and what `Urls.tree` raises."""
        beside = self._beside(ctx.template, wanted.url)
        if beside is not None:
            _existing(beside.whole)
            yield Skeleton(beside.root, beside.path)
            return
        tree = await self._urls.tree(self._resolved(ctx.template.base_url, wanted.url), token=wanted.token)
        async with folder_beside(ctx.workspace, "skeleton") as made:
            await in_thread(lambda: put(tree.files, Workspace(made, self._quota), ""))
            yield Skeleton(made)

    async def fetch_folder(self, ctx: ActionContext[Any], wanted: Fetched, target: str) -> None:
        """Put all that stands there into a folder of the workspace, over what it has. Raises as `folder` does."""
        workspace = Workspace(ctx.workspace, self._quota)
        beside = self._beside(ctx.template, wanted.url)
        if beside is not None:
            await in_thread(lambda: workspace.copy_tree(_existing(beside.whole), target))
            return
        tree = await self._urls.tree(self._resolved(ctx.template.base_url, wanted.url), token=wanted.token)
        await in_thread(lambda: put(tree.files, workspace, target))

    async def fetch_file(self, ctx: ActionContext[Any], wanted: Fetched, target: str) -> None:
        """Put a file into the workspace: with its mode, if it lies beside the template. Raises as `folder` does."""
        workspace = Workspace(ctx.workspace, self._quota)
        beside = self._beside(ctx.template, wanted.url)
        if beside is not None:
            await in_thread(lambda: _copy_file(beside, workspace, target))
            return
        document = await self._urls.read(self._resolved(ctx.template.base_url, wanted.url), token=wanted.token)
        await in_thread(lambda: workspace.write(target, document.content))

    async def file(self, ctx: ActionContext[Any], wanted: Fetched) -> bytes:
        """What a file contains. Raises as `folder` does."""
        beside = self._beside(ctx.template, wanted.url)
        if beside is not None:
            return await in_thread(lambda: _content(beside))
        document = await self._urls.read(self._resolved(ctx.template.base_url, wanted.url), token=wanted.token)
        return document.content

    def _resolved(self, base: str | None, url: str) -> str:
        if is_url(url):
            return url
        if not base:
            raise InputError(
                f"Failed to fetch, template location could not be determined and the fetch URL is relative, {url}"
            )
        try:
            known = self._urls.integrations.by_url(base)
        except InvalidUrlError:
            known = None
        if known is None and not self._in_repository(base):
            raise InputError(f"No integration found for location {base}")
        return self._urls.resolve(url, base)

    def _beside(self, template: TemplateInfo, url: str) -> Beside | None:
        """Where a relative URL leads to from a template that is a file. Raises NotAllowedError for what is outside its folder,
        or its root."""
        base = template.base_url
        if not base or not base.startswith("file://") or is_url(url) or self._in_repository(base):
            return None
        folder = Path(base.removeprefix("file://")).parent
        if not folder.is_dir():
            raise FileError(errno.ENOENT, "lstat", folder)
        home = folder.resolve()
        if template.root is None or url.startswith("/"):
            root, path = home, url
        else:
            root = Path(template.root)
            path = posixpath.join(home.relative_to(root), url)
        whole = Workspace(root, Quota()).inside(path)
        return Beside(root, str(whole.relative_to(root)), whole)

    def _in_repository(self, base: str) -> bool:
        """Whether a plugin reads the repository that the template lies in, on a host (or disk) that `integrations` does not
        know: `file:///srv/git/golden-paths.git/-/blob/main/template.yaml`."""
        try:
            return self._urls.reads_folders(base)
        except InvalidUrlError:
            return False


def put(files: Iterable[TreeFile], workspace: Workspace, target: str) -> None:
    """Write the files of a tree into a folder of the workspace; links last, so that nothing is written through them."""
    links: list[tuple[Listed, str]] = []
    workspace.mkdir(target)
    folder = workspace.relative(target)
    for one in files:
        path = Listed(posixpath.normpath(f"{folder}/{one.path}"))
        if one.link is None:
            workspace.write(path, one.content, 0o777 if one.executable else 0o666)
        else:
            links.append((path, one.link))
    for path, link in links:
        workspace.symlink(path, link)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileError(errno.ENOENT, "lstat", path)
    return path


def _copy_file(source: Beside, workspace: Workspace, target: str) -> None:
    """As node's copyFile: an old file gets the mode, too. Errors name both ends."""
    whole = workspace.inside(target)
    try:
        with _opened(source) as content:
            chunks = iter(lambda: content.read(_CHUNK), b"")
            workspace.pour(target, chunks, os.fstat(content.fileno()).st_mode, keep=False)
    except FileError as error:
        raise FileError(error.number, "copyfile", f"{source.whole}' -> '{whole}") from error


def _content(file: Beside) -> bytes:
    with _opened(file) as content:
        return content.read()


def _opened(file: Beside) -> IO[bytes]:
    _existing(file.whole)
    with place(file.root, file.path) as there:
        return os.fdopen(open_to_read(there, file.whole), "rb")
