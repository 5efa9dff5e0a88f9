"""A door before Postgres that can be slammed, left open onto nothing, or turned to another server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes bytes to `target`, a port of this machine, for as long as it is told to."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.passes = asyncio.Event()
        """While this is not set, what comes is neither passed on nor refused: the network has swallowed it."""
        self.passes.set()
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> int:
        """Reset every connection at once. Returns how many there were."""
        writers, self._open = self._open, set()
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        await self.passes.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._open |= pair
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(reader, far_writer))
            group.create_task(self._pass(far_reader, writer))
        self._open -= pair

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """A proxy that listens while the block lasts."""
    made = Proxy(target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.passes.set()
        made.cut()
        await server.wait_closed()
