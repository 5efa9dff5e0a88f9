"""GitHub Apps -> tokens that open what they are installed on (facts: upstream's SingleInstanceGithubCredentialsProvider)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from greenroom.errors import GreenroomError, NotFoundError
from greenroom.settings import Discreet, GithubAppConfig
from greenroom.urls.outgoing import Answer, Named, Outgoing
from greenroom.urls.service import UnreadableUrlError

INSTALLATIONS_KEPT = timedelta(minutes=10)
REFRESH_AFTER = timedelta(minutes=1)
"""A new installation is looked for at most so often."""
SPARE = timedelta(minutes=10)
"""What a token must still be good for."""
_PROOF_LASTS = timedelta(minutes=9)  # GitHub takes 10 at most
_CLOCKS_DIFFER = timedelta(seconds=30)
_MAX_PAGES = 100
_ACCEPT = {"Accept": "application/vnd.github+json"}
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')

T = TypeVar("T")


class _Account(msgspec.Struct):
    login: str = ""


class _Installation(msgspec.Struct):
    id: int
    account: _Account | None = None
    suspended_at: str | None = None


class _Token(Discreet, frozen=True):
    token: str
    expires_at: datetime
    repository_selection: str = "all"


class _Repository(msgspec.Struct):
    name: str


class _Repositories(msgspec.Struct):
    repositories: list[_Repository]


class _Held(Discreet, frozen=True):
    """A token, until when it is handed out, and what it opens; None: all that the owner has."""

    token: str
    until: datetime
    names: frozenset[str] | None


class GithubApps:
    """The apps of one host, in the order of the config."""

    def __init__(self, outgoing: Outgoing, api: str, apps: list[GithubAppConfig], named: Named) -> None:
        """`api` is where tokens are asked for, `named` which addresses the operator named (as in `Outgoing.get`)."""
        self._apps = [_App(_Api(outgoing, api, named), config) for config in apps]

    async def token(self, owner: str, name: str) -> str | None:
        """What opens the repository, None where no app is installed. Raises UnreadableUrlError for an app that does not work."""
        problems: list[GreenroomError] = []
        for app in self._apps:
            try:
                if app.serves(owner):
                    return await app.token(owner, name)
            except NotFoundError:
                continue
            except GreenroomError as error:
                problems.append(error)
        public = next((app for app in self._apps if app.config.public_access), None)
        token = None if public is None else await public.any_token()
        if token is None and problems:
            raise problems[0]
        return token


class _App:
    def __init__(self, api: _Api, config: GithubAppConfig) -> None:
        self.config = config
        self._api = api
        self._installations: list[_Installation] = []
        self._listed: datetime | None = None
        self._held: dict[int, _Held] = {}
        self._listing, self._creating = asyncio.Lock(), asyncio.Lock()

    def serves(self, owner: str) -> bool:
        allowed = self.config.allowed_installation_owners
        return allowed is None or owner.lower() in {one.lower() for one in allowed}

    async def token(self, owner: str, name: str) -> str:
        """Raises NotFoundError where the app is not installed, UnreadableUrlError where it may not or cannot."""
        installation = await self._installation(owner)
        if installation.suspended_at:
            raise UnreadableUrlError(f"The GitHub App {self.config.app_id} is suspended for {owner}")
        held = await self._hold(installation)
        if held.names is not None and name.lower() not in held.names:
            raise UnreadableUrlError(
                f"The GitHub App {self.config.app_id} may not read the repository {name} of {owner}: "
                "add it to those that the installation is for"
            )
        return held.token

    async def any_token(self) -> str | None:
        """Good for what everybody may read, and more often than without one. None where the app is installed nowhere.

        Raises UnreadableUrlError."""
        installations = await self._all(INSTALLATIONS_KEPT)
        return (await self._hold(installations[0])).token if installations else None

    async def _installation(self, owner: str) -> _Installation:
        for patience in (INSTALLATIONS_KEPT, REFRESH_AFTER):
            for one in await self._all(patience):
                if one.account and one.account.login.lower() == owner.lower():
                    return one
        raise NotFoundError(f"The GitHub App {self.config.app_id} is not installed for {owner}")

    async def _all(self, patience: timedelta) -> list[_Installation]:
        """Where the app is installed, as known for no longer than that."""
        async with self._listing:
            if self._listed is None or _now() - self._listed >= patience:
                pages = await self._api.pages("/app/installations?per_page=100", self._proof(), list[_Installation])
                self._installations = [one for page in pages for one in page]
                self._listed = _now()
            return self._installations

    async def _hold(self, installation: _Installation) -> _Held:
        async with self._creating:
            held = self._held.get(installation.id)
            if held is None or _now() >= held.until:
                self._held[installation.id] = held = await self._fresh(installation)
            return held

    async def _fresh(self, installation: _Installation) -> _Held:
        path = f"/app/installations/{installation.id}/access_tokens"
        try:
            created = await self._api.create(path, self._proof(), _Token)
        except NotFoundError as error:  # it was there a moment ago
            self._listed = None
            raise UnreadableUrlError(f"{error.message}: the GitHub App was uninstalled") from error
        names: frozenset[str] | None = None
        if created.repository_selection == "selected":
            pages = await self._api.pages("/installation/repositories?per_page=100", created.token, _Repositories)
            names = frozenset(one.name.lower() for page in pages for one in page.repositories)
        return _Held(created.token, created.expires_at - SPARE, names)

    def _proof(self) -> str:
        """The app's own word that it is the app, good for some minutes."""
        now = _now()
        claims = {
            "iss": str(self.config.app_id),
            "iat": int((now - _CLOCKS_DIFFER).timestamp()),
            "exp": int((now + _PROOF_LASTS).timestamp()),
        }
        try:
            key = RSAKey.import_key(self.config.private_key)
            return jwt.encode({"alg": "RS256"}, claims, key)
        except (JoseError, ValueError) as error:  # what the key is must not be told
            raise UnreadableUrlError(
                f"The privateKey of the GitHub App {self.config.app_id} is not one: it takes the whole .pem file"
            ) from error


def _now() -> datetime:
    return datetime.now(UTC)


class _Api:
    """What of GitHub's API is needed. All of it goes to the one address."""

    def __init__(self, outgoing: Outgoing, base: str, named: Named) -> None:
        self._outgoing, self._base, self._named = outgoing, base, named

    async def pages(self, path: str, token: str, into: type[T]) -> list[T]:
        """Raises NotFoundError, UnreadableUrlError."""
        found: list[T] = []
        address: str | None = self._base + path
        while address and address.startswith(f"{self._base}/") and len(found) < _MAX_PAGES:
            answer = await self._outgoing.get(address, self._headers(token), self._named)
            found.append(self._read(answer, into))
            following = _NEXT.search(answer.headers.get("Link", ""))
            address = following[1] if following else None
        return found

    async def create(self, path: str, token: str, into: type[T]) -> T:
        """Raises as `pages` does."""
        return self._read(await self._outgoing.post(self._base + path, self._headers(token), self._named), into)

    def _headers(self, token: str) -> Mapping[str, str]:
        return {**_ACCEPT, "Authorization": f"Bearer {token}"}

    def _read(self, answer: Answer, into: type[T]) -> T:
        if answer.status == 401:
            hint = "check appId, privateKey and apiBaseUrl of the GitHub App, and the clock of this machine"
            raise UnreadableUrlError(f"Request failed for {answer.url}, {answer.said}: {hint}")
        if answer.status == 404:
            raise NotFoundError(f"Request failed for {answer.url}, {answer.said}")
        if not answer.ok:
            raise UnreadableUrlError(f"Request failed for {answer.url}, {answer.said}")
        try:
            return msgspec.json.decode(answer.content, type=into)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableUrlError(f"{answer.url} answered in an unexpected way") from error
