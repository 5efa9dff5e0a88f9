"""The URL service: the first reader that knows a URL reads it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from greenroom.errors import GreenroomError, NotAllowedError
from greenroom.plugin import Document, TokenReader, Tree, TreeReader, UrlReader
from greenroom.urls.integrations import Integrations
from greenroom.urls.whatwg import parse


class UnreadableUrlError(GreenroomError):
    """The URL could not be read"""


class Urls:
    """Reads URLs, and knows how the hosts behind them spell the URLs beside them."""

    def __init__(
        self,
        readers: Iterable[UrlReader] | Callable[[], Iterable[UrlReader]] = (),
        integrations: Integrations | None = None,
    ) -> None:
        """`readers` in the order in which they are asked: those of plugins first, the general `HttpReader` last.

        They may be given as a function, which is called at the first read, when all plugins have been built."""
        self._given = readers
        self._ordered: tuple[UrlReader, ...] | None = None
        self.integrations = integrations or Integrations.from_config()

    async def read(self, url: str, etag: str | None = None, *, token: str | None = None) -> Document:
        """The document behind the URL, opened by a token where one is given and the reader can use it.

        Raises NotAllowedError when no reader knows the URL, NotFoundError, NotModifiedError when `etag` is still
        current, InvalidUrlError, and UnreadableUrlError for what else may go wrong on the way."""
        reader = self._reader(url)
        if token and isinstance(reader, TokenReader):
            return await reader.read_with(token, url, etag)
        return await reader.read(url, etag)

    async def tree(self, url: str, etag: str | None = None, *, token: str | None = None) -> Tree:
        """All files below the URL, with their modes and links; what is too large is refused before there is a Tree.

        A `token` is used instead of what config has for the host, and sent to no other. Raises as `read` does, and
        UnreadableUrlError (upstream's text) where folders cannot be read."""
        reader = self._reader(url)
        if not isinstance(reader, TreeReader):
            raise UnreadableUrlError("FetchUrlReader does not implement readTree")
        return await reader.tree(url, etag, token=token)

    async def search(self, url: str, etag: str | None = None) -> Sequence[tuple[str, Document]]:
        """The files that a URL with `*`, `**` or `?` in its path stands for; without these the one file, or none.

        The etag of a pattern is that of any of its documents. Raises as `read` does, but never NotFoundError for a single
        file; InputError where the host cannot list files."""
        return await self._reader(url).search(url, etag)

    def reads_folders(self, url: str) -> bool:
        """Whether the reader of the URL could read a folder there, be there one or not. Raises InvalidUrlError."""
        parse(url)
        return isinstance(next((reader for reader in self._readers() if reader.reads(url)), None), TreeReader)

    def resolve(self, target: str, base: str) -> str:
        """The URL that `target` means in the file at `base`. Raises InvalidUrlError."""
        return self.integrations.resolve(target, base)

    def view_url(self, url: str) -> str:
        """Where a person looks at the file: the annotation `backstage.io/view-url`."""
        return self.integrations.view_url(url)

    def edit_url(self, url: str) -> str | None:
        """Where a person edits the file: the annotation `backstage.io/edit-url`; None where there is no such place."""
        return self.integrations.edit_url(url)

    def source_location(self, url: str) -> str | None:
        """`url:` and the folder of the file: the annotation `backstage.io/source-location`; None on an unknown host."""
        return self.integrations.source_location(url)

    def _reader(self, url: str) -> UrlReader:
        parse(url)
        for reader in self._readers():
            if reader.reads(url):
                return reader
        raise NotAllowedError(
            f"Reading from '{url}' is not allowed. You may need to configure an integration for the target host, "
            "or add it to the configured list of allowed hosts at 'backend.reading.allow'"
        )

    def _readers(self) -> tuple[UrlReader, ...]:
        if self._ordered is None:
            self._ordered = tuple(self._given() if callable(self._given) else self._given)
        return self._ordered
