"""bytes of a connection -> ASGI requests -> bytes: uvicorn's protocol, with the bounds it lacks and a shorter way out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from greenroom.web.asgi import Message

HEAD_LIMIT = 64 * 1024
"""Bytes of request line and headers (node: 16 kB)."""

UNREAD_LIMIT = 128 * 1024 * 1024
UNREAD_LEAST = 1024 * 1024
"""What an answer that waits for its reader counts for at least: as much is held behind it, in pieces that are not sent yet."""

_CONTROLS = bytes(number for number in (*range(32), 127) if number not in b"\t\r\n")


class Crowd:
    """The connections of a server, as far as one has to make room for others."""

    def __init__(self, most: int = 10_000, unread: int = UNREAD_LIMIT) -> None:
        """`most` connections are open at a time. `unread` is how many bytes of answers may wait for readers, all together."""
        self.most = most
        self.unread = unread
        self._behind: dict[Protocol, int] = {}
        self._sum = 0

    def behind(self, connection: Protocol) -> None:
        """It has been sent more than its client has read. Where too much waits altogether, those go that have waited longest."""
        self.caught_up(connection)
        self._behind[connection] = size = max(connection.unread, UNREAD_LEAST)
        self._sum += size
        if self._sum > self.unread:
            self._behind = {one: max(one.unread, UNREAD_LEAST) for one in self._behind}
            self._sum = sum(self._behind.values())
        while self._sum > self.unread and len(self._behind) > 1:
            slowest = next(iter(self._behind))
            self.caught_up(slowest)
            slowest.transport.abort()

    @property
    def waiting(self) -> list[Protocol]:
        """Those that are behind, the one that has been for longest first."""
        return list(self._behind)

    def caught_up(self, connection: Protocol) -> None:
        """It is no longer behind, or no longer there."""
        self._sum -= self._behind.pop(connection, 0)


class Protocol(HttpToolsProtocol):
    """Uvicorn's protocol with the bounds it lacks: on the size of a request's head (431) and on the time that a client takes
    to send head and body (408), as node has them; on the time that it takes to read an answer, on the answers that wait for
    readers, and on the number of connections (503).

    A request that arrives in one piece, as most do, never has a timer."""

    head_seconds = 60.0
    """From the connection, or the first byte of a later request, to the end of the head."""
    body_seconds = 300.0
    """From there to the end of the body."""
    read_seconds = 60.0
    """In which a client that is behind has to take READ_LEAST bytes of its answer, or is cut off."""
    read_least = 64 * 1024

    _head = 0
    _maybe_long = False
    """So much has been read that the head which ends in it may be too long."""
    _in_head = True
    _moved_on = False
    _awaited: Literal["head", "body"] | None = None
    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _idle: asyncio.TimerHandle | None = None
    _idle_since = 0.0

    def __init__(self, *arguments: Any, crowd: Crowd | None = None, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._crowd = crowd or Crowd()

    @property
    def unread(self) -> int:
        """Bytes that were sent, and wait here because the client does not read."""
        return self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await("head")
        if len(self.connections) > self._crowd.most:
            self._end(b"503 Service Unavailable")

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self._crowd.caught_up(self)
        for timer in (self._reading, self._idle):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved_on = False
        self._maybe_long = self._head + len(data) > HEAD_LIMIT
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head and not self._moved_on else 0
        if self._head > HEAD_LIMIT:
            self._end(b"431 Request Header Fields Too Large")
        awaited: Literal["head", "body"] | None = "body" if not self._in_head else "head" if self._head else None
        if self._moved_on or awaited != self._awaited:
            self._await(awaited)

    def _await(self, what: Literal["head", "body"] | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._awaited = what
        if what is not None and not self.transport.is_closing():
            seconds = self.head_seconds if what == "head" else self.body_seconds
            self._timer = self.loop.call_later(seconds, self._end, b"408 Request Timeout")

    def _end(self, status: bytes) -> None:
        """Close the connection, with a word of why unless a response is under way, or is already there."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or (cycle.response_complete if self._in_head else not cycle.response_started):
            self.transport.write(b"HTTP/1.1 %s\r\nConnection: close\r\n\r\n" % status)
        self.transport.close()

    def on_headers_complete(self) -> None:
        """What uvicorn does, with a cycle of our own. A URL that is none raises, and is answered with 400."""
        if self._maybe_long and self._head_length() > HEAD_LIMIT:
            self._end(b"431 Request Header Fields Too Large")
            raise ValueError("the head is too long")  # so that nothing more of it is parsed
        self._in_head, self._moved_on = False, True
        parser: Any = self.parser
        app: Any = self.app
        scope = self.scope
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version = parser.get_http_version()
        url = httptools.parse_url(self.url)
        scope["raw_path"] = url.path
        scope["path"] = url.path.decode("ascii")  # as it was sent: who goes by it decodes it
        scope["query_string"] = url.query or b""
        before, self.cycle = (
            self.cycle,
            Cycle(
                scope=scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=version != "1.0" and parser.should_keep_alive(),
                on_response=self.on_response_complete,
            ),
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, app)
        else:  # it was sent before the last one was answered
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def _head_length(self) -> int:
        """Of the request line and headers that were just parsed, but for the spaces."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_message_complete(self) -> None:
        self._in_head = self._moved_on = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or see from time to time whether there is one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle is None:
            self._idle = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        """One timer for many requests: to set and cancel one for each costs more than to look."""
        self._idle = None
        if self.transport.is_closing() or not self.cycle.response_complete or self._head:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0.01:
            self._idle = self.loop.call_later(left, self._close_if_idle)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()
        self._crowd.behind(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._crowd.caught_up(self)
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch_reader(self, before: int | None = None) -> None:
        unread = self.unread
        if before is not None and before - unread < self.read_least:
            self._reading = None
            self.transport.abort()  # to close it would be to wait until all is read
        else:
            self._reading = self.loop.call_later(self.read_seconds, self._watch_reader, unread)


class Cycle(RequestResponseCycle):
    """One request and its answer. Head and first piece of the body leave together: each piece is a system call, and wakes
    the reader."""

    _start: Message | None = None
    _left: int | None = None
    """Bytes of the body that are still to come, where the head told."""

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        pieces: list[bytes] = []
        if self._start is not None:
            start, self._start = self._start, None
            pieces.append(self._head(start["status"], start["headers"]))
        elif self.response_complete or not self.response_started:
            raise RuntimeError("a piece of a body without a response that it belongs to")
        pieces += self._framed(body, more=more)
        if pieces:
            self.transport.writelines(pieces)
        if not more:
            self._complete()
        elif self.flow.write_paused:  # so that the next piece is not even made while this one waits for its reader
            await self.flow.drain()

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers. Raises RuntimeError for one that holds control characters."""
        self._left, self.chunked_encoding = None, False
        lines: list[bytes] = []
        ends = 2
        closes = not self.keep_alive
        for name, value in (*self.default_headers, *headers):
            lowered = name.lower()
            if lowered == b"content-length":
                self._left = int(value)
            elif lowered == b"connection":
                closes = closes or b"close" in value.lower()
                continue
            lines += (lowered, b": ", value, b"\r\n")
            ends += 1
        if self.scope["method"] == "HEAD":
            self._left = 0
        elif self._left is None and status not in (204, 304):
            # To HTTP/1.0 the end of the connection is the end of the body.
            self.chunked_encoding = self.scope["http_version"] != "1.0"
            closes = closes or not self.chunked_encoding
        if self.chunked_encoding:
            lines.append(b"transfer-encoding: chunked\r\n")
            ends += 1
        if closes:
            self.keep_alive = False
            lines.append(b"connection: close\r\n")
            ends += 1
        head = b"".join((STATUS_LINE[status], *lines, b"\r\n"))
        if len(head.translate(None, _CONTROLS)) < len(head) or not head.count(b"\r") == head.count(b"\n") == ends:
            raise RuntimeError("a header with control characters")
        self.response_started = True
        self.waiting_for_100_continue = False
        return head

    def _framed(self, body: bytes, *, more: bool) -> tuple[bytes, ...]:
        if self.scope["method"] == "HEAD":
            return ()
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body is not as long as its head says")
        if not self.chunked_encoding:
            return (body,) if body else ()
        chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
        return chunk if more else (*chunk, b"0\r\n\r\n")

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
