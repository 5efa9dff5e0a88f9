"""What hostile URLs, hosts and archives do to the server: nothing, and they are told what was wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import tarfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from greenroom.errors import GreenroomError, NotAllowedError
from greenroom.settings import ReadingConfig, load
from greenroom.urls import Integrations, InvalidUrlError, UnreadableUrlError, Urls, is_url, parse
from greenroom.urls.hosts.archives import gathered, matching
from greenroom.urls.outgoing import Limits, Outgoing, open_outgoing
from greenroom.urls.reading import HttpReader
from greenroom.urls.repositories import leaves_repository, repository_file
from greenroom.urls.trees import Gathering
from tests.support.waiting import slowness


def allowing(outgoing: Outgoing, *hosts: str) -> Urls:
    config = load([], {}, {"backend.reading.allow": [{"host": host} for host in hosts]})
    return Urls([HttpReader(outgoing, config.section("backend.reading", ReadingConfig))])


@asynccontextmanager
async def saying(
    *lines: bytes,
    then: Callable[[asyncio.StreamWriter], Any] | None = None,
    patience: timedelta = timedelta(minutes=1),
) -> AsyncIterator[tuple[str, Urls]]:
    """A server that sends these bytes to whoever connects, and goes on as it is told; its URL, and who may read it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n".join(lines))
        try:
            if then is not None:
                while not writer.is_closing():
                    then(writer)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (ConnectionError, RuntimeError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_outgoing(Limits(max_bytes=10_000, max_time=patience)) as outgoing:
        yield f"http://{host}/x", allowing(outgoing, host)


# --- hosts


@pytest.mark.parametrize(
    "host",
    [
        "a..example.invalid",
        f"{'a' * 64}.example.invalid",
        f"{'a.' * 200}example.invalid",
        "-.example.invalid",
        "_x.example.invalid",
        'a"b.example.invalid',
        "a'b.example.invalid",
        "a{b}.example.invalid",
        "a`b.example.invalid",
        "a,b;c.example.invalid",
        "a&b=c$d!e~f*g+h(i).example.invalid",
        "..example.invalid",
        "xn--zzzzzz99999.example.invalid",
    ],
)
async def test_a_host_that_cannot_be_one_is_an_error_and_no_crash(host: str) -> None:
    async with open_outgoing(Limits(max_time=timedelta(seconds=5))) as outgoing:
        with pytest.raises(GreenroomError):
            await allowing(outgoing, "*.example.invalid").read(f"http://{host}/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com@127.0.0.1/",
        "http://127.0.0.1#@example.com/",
        "http://127.0.0.1\\@example.com/",
        "http://127.0.0.1/@example.com/",
        "http://example.com./",
        "http://example.com.127.0.0.1.nip.io/",
        "http://example%2ecom.evil.test/",
        "http://EXAMPLE.com:80@evil.test/",
        "http:/\\evil.test/example.com",
        "http://evil.test?example.com",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]/",
        "http://0/",
        "http://127.1/",
        "http://017700000001/",
        "http://0x7f000001/",
        "http://①②⑦.⓪.⓪.①/",
        "http://\uff45xample.com.evil.test/",
        "gopher://example.com/",
        "file://example.com/etc/passwd",
        "data:,example.com",
        "javascript:example.com",
        "ftp://example.com/",
        "http://user@example.com/",
        "//example.com/",
        "http:example.com:81/",
    ],
)
async def test_no_spelling_gets_past_the_list(url: str) -> None:
    async with open_outgoing() as outgoing:
        with pytest.raises((NotAllowedError, InvalidUrlError)):
            await allowing(outgoing, "example.com").read(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://EXAMPLE.com/",
        "http://example%2ecom/",
        "http://\uff45xample\uff0ecom/",
        "HTTP:example.com",
        "http:\\\\example.com/",
    ],
)
async def test_another_spelling_of_an_allowed_host_is_that_host_and_no_other(url: str) -> None:
    assert parse(url).href == "http://example.com/"
    async with open_outgoing() as outgoing:
        [reader] = allowing(outgoing, "example.com")._readers()
        assert reader.reads(url)


async def test_variables_of_the_environment_lead_no_request_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(request.headers["Host"])
        return web.Response(text="x")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, TestServer(web.Application()) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with open_outgoing() as outgoing:
            host = f"127.0.0.1:{server.port}"
            assert (await allowing(outgoing, host).read(f"http://{host}/x")).content == b"x"
    assert reached == [host]


def test_what_is_checked_and_what_is_connected_to_are_read_alike() -> None:
    """Two parsers that disagree are how lists are passed by: the request is made of the one's text by the other."""
    random = Random(9)
    letters = "abAB01.-_~!$&'()*+,;=:@[]/\\?#%2eé\u24d0\uff0e\"{}`|^<> \t\n"
    agreed = 0
    for _ in range(20_000):
        middle = "".join(random.choice(letters) for _ in range(random.randint(1, 10)))
        try:
            url = parse(
                random.choice(("http://", "https:/", "http:", "https://\\")) + middle + random.choice(("", "/", "/x?y"))
            )
        except InvalidUrlError:
            continue
        sent = URL(url.href.partition("#")[0], encoded=True)
        assert (sent.scheme, sent.raw_host, sent.explicit_port, sent.raw_path) == (
            url.scheme,
            (url.hostname or "").strip("[]"),
            url.port,
            url.pathname,
        )
        agreed += 1
    assert agreed > 5_000


# --- answers


async def test_a_body_shorter_than_promised_is_not_taken_for_a_file() -> None:
    async with saying(b"HTTP/1.1 200 OK", b"Content-Length: 100", b"", b"kind: X") as (url, urls):
        with pytest.raises(UnreadableUrlError, match="Unable to read"):
            await urls.read(url)


async def test_a_body_longer_than_promised_is_read_as_promised() -> None:
    async with saying(b"HTTP/1.1 200 OK", b"Content-Length: 4", b"", b"kindHTTP/1.1 200 OK") as (url, urls):
        assert (await urls.read(url)).content == b"kind"


async def test_an_answer_that_is_promised_to_be_huge_is_given_up_when_it_is() -> None:
    head = (b"HTTP/1.1 200 OK", b"Content-Length: 99999999999", b"", b"")
    async with saying(*head, then=lambda writer: writer.write(b"x" * 4096)) as (url, urls):
        with pytest.raises(UnreadableUrlError, match="larger than 10000 bytes"):
            await urls.read(url)


@pytest.mark.parametrize(
    "endless",
    [b"X: y\r\n", b"X-" + b"y" * 4096, b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["headers", "a header", "hints"],
)
async def test_a_head_without_end_is_given_up(endless: bytes) -> None:
    lines = () if endless.startswith(b"HTTP") else (b"HTTP/1.1 200 OK", b"")
    patience = timedelta(minutes=1) if lines else timedelta(seconds=0.5)  # hints are no head, and have no other end
    async with saying(*lines, then=lambda writer: writer.write(endless), patience=patience) as (url, urls):
        with pytest.raises(UnreadableUrlError):
            await urls.read(url)


async def test_chunks_without_end_are_given_up() -> None:
    head = (b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"", b"")
    async with saying(*head, then=lambda writer: writer.write(b"1\r\nx\r\n" * 500)) as (url, urls):
        with pytest.raises(UnreadableUrlError, match="larger than"):
            await urls.read(url)


async def test_one_byte_at_a_time_is_too_slow() -> None:
    sent = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not sent.is_set():
            writer.write(b"x")
            await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, open_outgoing(Limits(max_time=timedelta(milliseconds=200))) as outgoing:
        with pytest.raises(UnreadableUrlError, match=r"no complete answer within 0\.2 s"):
            await allowing(outgoing, host).read(f"http://{host}/x")
        sent.set()


async def test_no_answer_of_http_is_told() -> None:
    async with saying(b"220 ready", b"", b"") as (url, urls):
        with pytest.raises(UnreadableUrlError, match="Unable to read"):
            await urls.read(url)


async def test_what_a_server_says_can_be_stored_and_shown() -> None:
    async with saying(b"HTTP/1.1 500 \xff\x1b[31m\xc2\x85" + b"y" * 1000, b"Content-Length: 0", b"", b"") as (
        url,
        urls,
    ):
        with pytest.raises(UnreadableUrlError) as caught:
            await urls.read(url)
    message = caught.value.message
    assert message.encode().isascii() or "\ufffd" in message
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize(
    "header", [b"ETag: \xff\xfe", b"ETag: \xc3\xa9", b"ETag: " + b"x" * 5000, b"Last-Modified: \xff", b"ETag: a\tb"]
)
async def test_a_mark_that_cannot_be_kept_or_sent_back_is_none(header: bytes) -> None:
    async with saying(b"HTTP/1.1 200 OK", header, b"Content-Length: 1", b"", b"x") as (url, urls):
        assert (await urls.read(url)).etag is None


@pytest.mark.parametrize(
    "place", [b"http://", b"http://[", b"http://a b/", b"\xff\xfe", b"http://x:99999/", b"http://127.0.0.1:1\x7f/"]
)
async def test_a_redirect_to_nowhere_is_an_error_and_no_crash(place: bytes) -> None:
    async with saying(b"HTTP/1.1 302 Found", b"Location: " + place, b"Content-Length: 0", b"", b"") as (url, urls):
        with pytest.raises(GreenroomError):
            await urls.read(url)


# --- long texts


@pytest.mark.parametrize(
    "ask",
    [
        lambda: is_url("http://" + "a" * 100_000 + "! "),
        lambda: is_url("http://" + "a." * 50_000 + "! "),
        lambda: is_url("http://" + "é" * 100_000),
        lambda: is_url("http://" + "".join(map(chr, range(0x4E00, 0x8E00)))),
        lambda: is_url("http://xn--" + "zz9" * 30_000),
        lambda: parse("https://x/" + "../" * 100_000),
        lambda: repository_file("http://x/" + "projects/" * 30_000),
        lambda: repository_file("http://x/a/repos/" + "projects/" * 30_000),
        lambda: leaves_repository("%" + "25" * 200_000),
        lambda: Integrations().resolve("./x", "https://github.com/" + "/" * 100_000),
        lambda: Integrations().edit_url("https://github.com/" + "0" * 300_000 + "z"),
        lambda: Integrations().resolve("/x", "https://github.com/o/r/blob/main/" + "a%20" * 50_000),
    ],
)
def test_no_url_takes_long_to_read(ask: Callable[[], object]) -> None:
    before = time.thread_time()
    with suppress(InvalidUrlError):
        ask()
    assert time.thread_time() - before < 1.5 * slowness()


def test_what_is_encoded_without_end_is_taken_to_leave_the_repository() -> None:
    assert leaves_repository("a/%" + "25" * 20 + "2e%2e/b")
    assert not leaves_repository("a/%" + "25" * 10 + "/b")


# --- archives


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    file.seek(0)
    return file


def raw(kind: bytes, size: int, content: bytes) -> io.BytesIO:
    member = tarfile.TarInfo("root/x")
    member.type, member.size = kind, size
    return io.BytesIO(member.tobuf(tarfile.GNU_FORMAT) + content)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_name_of_gigabytes_is_not_read(kind: bytes) -> None:
    with pytest.raises(UnreadableUrlError, match="a member has 8000000000 bytes of name or notes"):
        matching(raw(kind, 8_000_000_000, b"x" * 4096), "tar", lambda path: True)


def test_files_with_holes_are_refused() -> None:
    with pytest.raises(UnreadableUrlError, match="holes"):
        matching(raw(tarfile.GNUTYPE_SPARSE, 512, bytes(2048)), "tar", lambda path: True)
    sparse = tarfile.TarInfo("root/x")
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "root/y",
        "GNU.sparse.realsize": "9",
    }
    with pytest.raises(UnreadableUrlError, match="holes"):
        matching(packed((sparse, b"1" * 600)), "tar", lambda path: True)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", "../etc/passwd"),
        ("a/b", "../../x"),
        ("a/b", "c/../../.."),
        ("a", ""),
        ("a", "x" * 5000),
        ("a", "b\0"),
    ],
)
def test_a_link_out_of_the_folder_is_left_out(path: str, target: str) -> None:
    into = Gathering()
    into.add_link(path, target)
    assert list(into) == []


def test_a_folder_is_no_place_to_name_others_from() -> None:
    into = Gathering("sub")
    assert into.wants("sub/x")
    assert into.wants("sub/x y")
    for path in ("sub", "sub/", "sub/../x", "sub/./x", "sub//etc/x", "subway/x", "x", "sub/a\0b"):
        assert not into.wants(path), path


def test_a_tree_has_bounds_in_files_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    many = packed(*((tarfile.TarInfo(f"root/{n}"), b"12345") for n in range(5)))
    monkeypatch.setattr("greenroom.urls.trees.MAX_TREE_BYTES", 24)
    with pytest.raises(UnreadableUrlError, match="larger than 24 bytes"):
        gathered(many, "tar", "")
    monkeypatch.setattr("greenroom.urls.trees.MAX_TREE_FILES", 4)
    many.seek(0)
    with pytest.raises(UnreadableUrlError, match="more than 4 files"):
        gathered(many, "tar", "")
    monkeypatch.setattr("greenroom.urls.trees.MAX_TREE_FILE", 4)
    many.seek(0)
    with pytest.raises(UnreadableUrlError, match=r"^0 is larger than 4 bytes"):
        gathered(many, "tar", "")


def test_an_archive_of_a_gigabyte_of_nothing_is_refused_without_being_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.urls.trees.MAX_TREE_BYTES", 1_000_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(4):
            archive.writestr(f"{n}", bytes(400_000))
    assert len(bomb.getvalue()) < 4_000
    with pytest.raises(UnreadableUrlError, match="larger than 1000000 bytes"):
        gathered(bomb, "zip", "")


def test_an_archive_of_endless_empty_members_is_not_gone_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_MEMBERS", 100)
    folder = tarfile.TarInfo("root/x")
    folder.type = tarfile.DIRTYPE
    many = folder.tobuf(tarfile.USTAR_FORMAT) * 150
    for archive in (many, gzip.compress(many)):
        with pytest.raises(UnreadableUrlError, match="more than 100 members"):
            gathered(io.BytesIO(archive), "tar", "")
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_LIST", 1_000)
    names = io.BytesIO()
    with zipfile.ZipFile(names, "w") as archive_of_names:
        for n in range(50):
            archive_of_names.writestr(f"{n}", b"")
    with pytest.raises(UnreadableUrlError, match="a list of more than 1000 bytes"):
        gathered(names, "zip", "")
    monkeypatch.undo()
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_LISTED", 49)
    with pytest.raises(UnreadableUrlError, match="more than 49 members"):
        gathered(names, "zip", "")
    monkeypatch.setattr("greenroom.urls.hosts.archives.MAX_LISTED", 50)
    assert len(list(gathered(names, "zip", ""))) == 50


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_what_is_packed_is_looked_at_as_what_is_not(kind: bytes) -> None:
    packed_tar = io.BytesIO(gzip.compress(raw(kind, 8_000_000_000, b"x" * 4096).getvalue()))
    with pytest.raises(UnreadableUrlError, match="a member has 8000000000 bytes of name or notes"):
        matching(packed_tar, "tar", lambda path: True)


@pytest.mark.parametrize("form", ["tar", "gzip", "zip"])
def test_an_archive_with_anything_in_it_is_read_or_told(form: str) -> None:
    random = Random(7)
    packed_zip = io.BytesIO()
    with zipfile.ZipFile(packed_zip, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "é", "b/c"):
            archive.writestr(name, b"abc" * 40)
    sound = (
        packed_zip.getvalue() if form == "zip" else packed(*((tarfile.TarInfo(f"r/{n}é"), b"x") for n in "ab")).read()
    )
    for _ in range(400):
        broken = bytearray(sound)
        for _ in range(random.randint(1, 5)):
            broken[random.randrange(len(broken))] = random.choice((0, 255, random.randrange(256)))
        content = gzip.compress(bytes(broken), 1) if form == "gzip" else bytes(broken)
        with contextlib.suppress(UnreadableUrlError):
            list(gathered(io.BytesIO(content), "zip" if form == "zip" else "tar", ""))


@pytest.mark.parametrize("at", [0, 31, 40])
def test_a_broken_zip_is_told(at: int) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"some text " * 50)
    broken = bytearray(whole.getvalue())
    broken[at : at + 8] = b"\xff" * 8
    with pytest.raises(UnreadableUrlError, match="The archive of the repository cannot be read"):
        gathered(io.BytesIO(bytes(broken)), "zip", "")


def test_notes_upon_notes_are_refused() -> None:
    note = tarfile.TarInfo("x")
    note.type, note.size = tarfile.XHDTYPE, 0
    with pytest.raises(UnreadableUrlError, match="cannot be read"):
        matching(io.BytesIO(note.tobuf(tarfile.USTAR_FORMAT) * 5000), "tar", lambda path: True)


def test_a_name_that_is_no_text_becomes_a_url_all_the_same() -> None:
    [(path, _)] = matching(packed((tarfile.TarInfo("root/a\udcff.yaml"), b"x")), "tar", lambda path: True)
    resolved = Integrations().resolve(f"/{path}", "https://gitlab.com/o/r/-/blob/main/*.yaml")
    assert resolved == "https://gitlab.com/o/r/-/blob/main/a%EF%BF%BD.yaml"
    assert parse("https://x/").with_path("/a\udcff").href == "https://x/a%EF%BF%BD"


async def test_what_opens_a_place_that_a_host_redirects_to_is_not_told() -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async def answer(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"http://localhost:{other.port}/archive?signature=hush")

    apps = (web.Application(), web.Application())
    for app, handler in zip(apps, (answer, elsewhere), strict=True):
        app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(apps[0]) as server, TestServer(apps[1]) as other, open_outgoing() as outgoing:
        urls = allowing(outgoing, f"127.0.0.1:{server.port}", f"localhost:{other.port}")
        with pytest.raises(UnreadableUrlError) as caught:
            await urls.read(f"http://127.0.0.1:{server.port}/x?own=1")
        assert caught.value.message == f"could not read http://localhost:{other.port}/archive?…, 403 Forbidden"
