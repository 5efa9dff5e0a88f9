"""What `catalog.providers.git.<id>` may say."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from greenroom.settings import Discreet, FieldError, Strings
from greenroom_plugins.git.addresses import Address, InvalidAddressError


class RepositoryConfig(msgspec.Struct, frozen=True, rename="camel"):
    """One repository; a text stands for its URL."""

    url: str
    """A clone URL: `https://`, `ssh://` (or `git@host:path`), `file://`."""
    branch: str | None = None
    """None: that of the provider, else the remote's own default branch."""
    web: str | None = None
    """Where people see a file, with `{branch}` and `{path}`; None: as the host is known to spell it."""

    @classmethod
    def from_shorthand(cls, value: str | int) -> RepositoryConfig:
        return cls(str(value))

    def __post_init__(self) -> None:
        try:
            Address.parse(self.url)
        except InvalidAddressError as error:
            raise FieldError("url", error.message) from None
        check_web(self.web)


class Schedule(msgspec.Struct, frozen=True, rename="camel"):
    """When a repository is asked for news that no webhook told of."""

    frequency: timedelta = timedelta(minutes=30)
    timeout: timedelta = timedelta(minutes=3)
    """For all that is done with one repository in one go."""
    initial_delay: timedelta = timedelta(0)
    """How long a repository that is new here waits."""


class Webhook(Discreet, frozen=True, rename="camel"):
    """Who may announce a push at `POST /api/events/http/git`."""

    secret: Strings = msgspec.field(default_factory=list)
    """Several while one replaces another."""
    dangerously_allow_unsigned: bool = False


class Credentials(Discreet, frozen=True, rename="camel"):
    """For `https://` repositories."""

    token: str
    username: str = "x-access-token"


class GitConfig(msgspec.Struct, frozen=True, rename="camel"):
    """One provider: some repositories and what to look for in them."""

    repositories: list[RepositoryConfig] = []
    folder: str | None = None
    """A path with wildcards, each of whose matches is a bare repository: `/srv/git/*.git`."""
    branch: str | None = None
    web: str | None = None
    """For the repositories of `folder`; `{name}` is the repository's folder without `.git`."""
    paths: Strings = msgspec.field(default_factory=lambda: ["catalog-info.yaml"])
    """Patterns of file paths inside each repository: `**/catalog-info.yaml`."""
    schedule: Schedule = Schedule()
    webhook: Webhook = Webhook()
    concurrency: int = 4
    """Repositories worked on at the same time."""
    credentials: Credentials | None = None

    def __post_init__(self) -> None:
        if not self.repositories and not self.folder:
            raise FieldError("repositories", "a value is missing", "list clone URLs, or name a folder of repositories")
        if self.folder and not self.folder.startswith("/"):
            raise FieldError("folder", "expected an absolute path", "such as /srv/git/*.git")
        if self.concurrency < 1:
            raise FieldError("concurrency", "expected at least 1")
        check_web(self.web)


class PublishFolder(msgspec.Struct, frozen=True, rename="camel"):
    """A folder of bare repositories on this machine, which `publish:git` adds to. Stands for a host in `repoUrl`."""

    host: str
    """What templates and forms call it: `git.example.com` of `git.example.com?owner=team&repo=app`."""
    path: str
    """Repositories are `<path>/<owner>/<repo>.git`."""
    url: str | None = None
    """Where people (and `git clone`) reach the folder, if they can: `https://git.example.com`. None: by `file://` only."""

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise FieldError("host", "expected a host", "such as git.example.com")
        if not self.path.startswith("/"):
            raise FieldError("path", "expected an absolute path", "such as /srv/git")
        if self.url is not None and not self.url.startswith(("https://", "http://")):
            raise FieldError("url", "expected a URL", "such as https://git.example.com")


class PublishHost(Discreet, frozen=True, rename="camel"):
    """A Git host that `publish:git` may push to, and what opens it."""

    host: str
    """With its port, if that is not the scheme's own."""
    token: str | None = None
    """None: only tokens that a template is given, or the machine's ssh key."""
    username: str = "x-access-token"
    dangerously_allow_http: bool = False
    """It is asked by `http://`, where everybody on the way reads what is pushed, and the token."""

    @classmethod
    def from_shorthand(cls, value: str | int) -> PublishHost:
        return cls(str(value))

    @property
    def scheme(self) -> str:
        """How it is asked where nothing else is said."""
        return "http" if self.dangerously_allow_http else "https"

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise FieldError("host", "expected a host", "such as git.example.com or git.example.com:8443")


class PublishConfig(msgspec.Struct, frozen=True, rename="camel"):
    """What `scaffolder.publishGit` may say: where `publish:git` may push to. The hosts of `integrations` are always among it."""

    folders: list[PublishFolder] = []
    hosts: list[PublishHost] = []

    def __post_init__(self) -> None:
        names = [*(one.host for one in self.folders), *(one.host for one in self.hosts)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FieldError("hosts", f"{twice} is named twice", "a host is one folder, or one host")


_HOST = re.compile(r"[a-z0-9]([a-z0-9.\-]*[a-z0-9])?(:\d{1,5})?")


def check_web(web: str | None) -> None:
    """Raises FieldError for a template that could not tell two files apart."""
    if web is not None and ("{path}" not in web or not web.startswith(("https://", "http://"))):
        raise FieldError(
            "web", "expected a URL with {path}", "such as https://git.example.com/team/app/blob/{branch}/{path}"
        )
