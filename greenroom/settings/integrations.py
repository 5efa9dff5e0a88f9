"""The section `integrations` of the config: the Git hosts whose files may be read, where their APIs are, and with what tokens.

Names, defaults and what is refused are those of `@backstage/integration` 2.1, apart from the address of the API of a GitHub or
GitLab of one's own, which has a default here. Fields of type Any are known to upstream, and accepted here without effect.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import msgspec

from greenroom.settings.backend import Discreet
from greenroom.settings.sections import FieldError

_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[^\s/:?#@\[\]A-Z]+)(?::\d{1,5})?")
_HOST_HINT = "a name in lower case and maybe a port, without https://"
_URL_HINT = "such as `https://git.example.com`"


class GithubAppConfig(Discreet, frozen=True, rename="camel"):
    """A GitHub App: what it is installed on, it may read."""

    app_id: int
    private_key: str
    """The whole .pem file. Line breaks may be written as `\\n`."""
    allowed_installation_owners: list[str] | None = None
    """The owners it is used for; None: all that it is installed for."""
    public_access: bool = False
    """Whether it is used for the public repositories of others too."""
    client_id: str | None = None
    client_secret: str | None = None
    webhook_secret: str | None = None

    def __post_init__(self) -> None:
        key = self.private_key.replace("\\n", "\n").strip()
        msgspec.structs.force_setattr(self, "private_key", key)
        if not re.fullmatch(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s.*\s-----END \1PRIVATE KEY-----", key, re.DOTALL):
            raise FieldError("privateKey", "is not a private key", "the whole .pem file that GitHub gave you")


class GithubConfig(Discreet, frozen=True, rename="camel"):
    """A GitHub: github.com, or an Enterprise one."""

    PUBLIC: ClassVar[str] = "github.com"

    host: str = PUBLIC
    api_base_url: str = ""
    """`https://api.github.com`, or `https://<host>/api/v3`."""
    raw_base_url: str = ""
    """Where files are read without a token: `https://raw.githubusercontent.com`; empty on other hosts: through the API."""
    token: str | None = None
    """For owners that no app is installed for."""
    apps: list[GithubAppConfig] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        public = self.host == self.PUBLIC
        _check_host(self.host)
        _settle(self, "api_base_url", "https://api.github.com" if public else f"https://{self.host}/api/v3")
        _settle(self, "raw_base_url", "https://raw.githubusercontent.com" if public else "")
        _trim(self, "token")


class GitlabConfig(Discreet, frozen=True, rename="camel"):
    """A GitLab: gitlab.com, or one of one's own."""

    PUBLIC: ClassVar[str] = "gitlab.com"

    host: str = PUBLIC
    base_url: str = ""
    """`https://<host>`; with a path, if GitLab is below one."""
    api_base_url: str = ""
    """`<baseUrl>/api/v4`."""
    token: str | None = None
    retry: Any = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        _settle(self, "base_url", f"https://{self.host}")
        _settle(self, "api_base_url", f"{self.base_url}/api/v4")
        _trim(self, "token")

    def cautions(self) -> Iterable[str]:
        if self.retry:
            yield "retry: has no effect, what could not be read is read again with the next round"


class AzureCredential(Discreet, frozen=True, rename="camel"):
    """A way into one or several organizations of Azure DevOps; without any, into all."""

    organizations: list[str] = msgspec.field(default_factory=list)
    personal_access_token: str | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    managed_identity_client_id: str | None = None

    def __post_init__(self) -> None:
        others = (self.tenant_id, self.client_id, self.client_secret, self.managed_identity_client_id)
        if self.personal_access_token and any(others):
            raise FieldError("personalAccessToken", "is given beside another kind of credential", "one kind each")
        if not self.personal_access_token and not self.client_id:
            raise FieldError("personalAccessToken", "a value is missing", "a personal access token")
        if bool(self.client_secret) and not self.tenant_id:
            raise FieldError("tenantId", "a value is missing beside `clientSecret`", "the id of the directory")
        for field in ("personal_access_token", "tenant_id", "client_id", "client_secret"):
            _trim(self, field)

    def cautions(self) -> Iterable[str]:
        if not self.personal_access_token and not self.client_secret:
            yield "clientId: managed identities are not supported yet; use `clientSecret` or `personalAccessToken`"


class AzureConfig(Discreet, frozen=True, rename="camel"):
    """An Azure DevOps: dev.azure.com, or a server of one's own."""

    PUBLIC: ClassVar[str] = "dev.azure.com"

    host: str = PUBLIC
    credentials: list[AzureCredential] = msgspec.field(default_factory=list)
    token: Any = None
    credential: Any = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        for field in ("token", "credential"):
            if getattr(self, field):
                raise FieldError(field, "there is no such key any more", "use `credentials`")
        organizations = Counter(name for one in self.credentials for name in one.organizations)
        if twice := [name for name, times in organizations.items() if times > 1]:
            raise FieldError("credentials", f"there are several for the organization {twice[0]!r}")
        if self.host != self.PUBLIC and not all(one.personal_access_token for one in self.credentials):
            raise FieldError("credentials", f"hosts other than {self.PUBLIC} take personal access tokens only")
        if sum(not one.organizations for one in self.credentials) > 1:
            raise FieldError(
                "credentials", "there are several without organizations", "at most one can be for all others"
            )


class BitbucketCloudConfig(Discreet, frozen=True, rename="camel"):
    """Access to bitbucket.org."""

    PUBLIC: ClassVar[str] = "bitbucket.org"

    host: ClassVar[str] = PUBLIC
    api_base_url: ClassVar[str] = "https://api.bitbucket.org/2.0"
    username: str | None = None
    token: str | None = None
    app_password: str | None = None
    client_id: str | None = None
    """Of an OAuth consumer, which goes before `username`."""
    client_secret: str | None = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        if self.username and not (self.token or self.app_password):
            raise FieldError("token", "a value is missing beside `username`", "an API token, or an `appPassword`")
        if bool(self.client_id) != bool(self.client_secret):
            raise FieldError("clientSecret", "`clientId` and `clientSecret` go together")
        for field in ("app_password", "client_id", "client_secret"):
            _trim(self, field)


class BitbucketServerConfig(Discreet, frozen=True, rename="camel"):
    """A Bitbucket Server or Data Center. A token goes before username and password."""

    host: str
    api_base_url: str = ""
    """`https://<host>/rest/api/1.0`."""
    token: str | None = None
    username: str | None = None
    password: str | None = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        _settle(self, "api_base_url", f"https://{self.host}/rest/api/1.0")
        _trim(self, "token")


class GerritConfig(Discreet, frozen=True, rename="camel"):
    """A Gerrit, whose files are named by the URLs of Gitiles."""

    host: str
    gitiles_base_url: str
    base_url: str = ""
    """`https://<host>`."""
    clone_url: str = ""
    disable_edit_url: bool = False
    """Whether a file has no edit link but its own URL."""
    username: str | None = None
    password: str | None = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        _settle(self, "base_url", f"https://{self.host}")
        _settle(self, "clone_url", self.base_url)
        _settle(self, "gitiles_base_url", "")
        _trim(self, "password")
        if self.password and not self.gitiles_base_url.startswith(self.base_url):
            hint = "credentials can be sent only where Gerrit itself serves Gitiles"
            raise FieldError("gitilesBaseUrl", "is not below `baseUrl`, and there is a password", hint)


class GiteaConfig(Discreet, frozen=True, rename="camel"):
    """A Gitea or Forgejo. A password without a username is a token."""

    host: str
    base_url: str = ""
    """`https://<host>`; with a path, if Gitea is below one."""
    username: str | None = None
    password: str | None = None
    commit_signing_key: Any = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        _settle(self, "base_url", f"https://{self.host}")
        _trim(self, "password")


class BucketConfig(Discreet, frozen=True, rename="camel"):
    """A store of files at Amazon or Azure. Only its URLs are understood."""

    endpoint: str | None = None
    access_key_id: Any = None
    secret_access_key: Any = None
    role_arn: Any = None
    external_id: Any = None
    s3_force_path_style: Any = msgspec.field(default=None, name="s3ForcePathStyle")
    account_name: Any = None
    account_key: Any = None
    sas_token: Any = None
    connection_string: Any = None
    endpoint_suffix: Any = None
    aad_credential: Any = None

    def __post_init__(self) -> None:
        if self.endpoint:
            _settle(self, "endpoint", "")
            if urlsplit(self.endpoint).path:
                raise FieldError("endpoint", "has a path, which an endpoint cannot", _URL_HINT)


class CodeCommitConfig(Discreet, frozen=True, rename="camel"):
    """AWS CodeCommit of one region. Only its URLs are understood."""

    region: str
    host: str = ""
    """`<region>.console.aws.amazon.com`."""
    access_key_id: Any = None
    secret_access_key: Any = None
    role_arn: Any = None
    external_id: Any = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "host", self.host or f"{self.region}.console.aws.amazon.com")


class HarnessConfig(Discreet, frozen=True, rename="camel"):
    """A Harness, for its repositories. An API key goes before a token."""

    host: str
    token: str | None = None
    api_key: str | None = None

    def __post_init__(self) -> None:
        _check_host(self.host)


class IntegrationsConfig(Discreet, frozen=True, rename="camel"):
    """The whole section. Public hosts are always among them."""

    github: list[GithubConfig] = msgspec.field(default_factory=list)
    gitlab: list[GitlabConfig] = msgspec.field(default_factory=list)
    azure: list[AzureConfig] = msgspec.field(default_factory=list)
    bitbucket_cloud: list[BitbucketCloudConfig] = msgspec.field(default_factory=list)
    bitbucket_server: list[BitbucketServerConfig] = msgspec.field(default_factory=list)
    gerrit: list[GerritConfig] = msgspec.field(default_factory=list)
    gitea: list[GiteaConfig] = msgspec.field(default_factory=list)
    aws_s3: list[BucketConfig] = msgspec.field(default_factory=list, name="awsS3")
    azure_blob_storage: list[BucketConfig] = msgspec.field(default_factory=list)
    aws_code_commit: list[CodeCommitConfig] = msgspec.field(default_factory=list)
    google_gcs: Any = None
    harness: list[HarnessConfig] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        _add_public(self, "github", GithubConfig())
        _add_public(self, "gitlab", GitlabConfig())
        _add_public(self, "azure", AzureConfig())
        _add_public(self, "bitbucket_cloud", BitbucketCloudConfig())

    def cautions(self) -> Iterable[str]:
        unread = {"awsS3": self.aws_s3, "azureBlobStorage": self.azure_blob_storage, "googleGcs": self.google_gcs}
        unread |= {"awsCodeCommit": self.aws_code_commit}
        for field in (field for field, given in unread.items() if given):
            yield f"{field}: files there cannot be read yet"
        yield from _twice("github", self.github)
        yield from _twice("gitlab", self.gitlab)
        yield from _twice("azure", self.azure)
        yield from _twice("bitbucketServer", self.bitbucket_server)
        yield from _twice("gerrit", self.gerrit)
        yield from _twice("gitea", self.gitea)
        yield from _twice("harness", self.harness)


class _Hosted(Protocol):
    @property
    def host(self) -> str: ...


def _twice(field: str, entries: Iterable[_Hosted]) -> Iterable[str]:
    which = "the first, with the credentials of the last" if field == "github" else "the first"
    for host in (host for host, times in Counter(one.host for one in entries).items() if times > 1):
        yield f"{field}: there are several entries for {host}; {which}, counts"


def _add_public(section: IntegrationsConfig, field: str, public: Any) -> None:
    configured = getattr(section, field)
    if not any(one.host == public.host for one in configured):
        msgspec.structs.force_setattr(section, field, [*configured, public])


def _check_host(host: str) -> None:
    if not _HOST.fullmatch(host):
        raise FieldError("host", "is not a host", _HOST_HINT)


def _settle(struct: msgspec.Struct, field: str, default: str) -> None:
    """A base URL, without a slash at the end."""
    url = (getattr(struct, field) or default).rstrip("/")
    msgspec.structs.force_setattr(struct, field, url)
    if url and not _is_web_address(url):
        first, *others = field.split("_")
        raise FieldError(first + "".join(map(str.capitalize, others)), "expected a URL", _URL_HINT)


def _trim(struct: msgspec.Struct, field: str) -> None:
    value = getattr(struct, field)
    if value is not None:
        msgspec.structs.force_setattr(struct, field, value.strip())


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False
