"""A way to a server that is slow, is cut, leads nowhere, and heals, for tests of partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from ssl import SSLContext
from threading import Event, Thread
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["Proxy"]

T = TypeVar("T")


class Proxy:
    """Passes on what comes to a port of this machine to another port of it.

    Every method returns when what it does is done; connections are those of clients.

    Attributes:
        delay_s: Seconds that everything takes longer, in each direction; may be set at any time.
        connections: How many were made.
        swallowed: Is set when something is held up because the way leads nowhere.

    Args:
        target: Port of the server.
        delay_s: See above.
        tls: Makes clients speak TLS; the server is spoken to without.
    """

    def __init__(self, target: int, *, delay_s: float = 0.0, tls: SSLContext | None = None) -> None:
        self.delay_s = delay_s
        self.connections = 0
        self.swallowed = Event()
        self._target = target
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._drops_answer = False
        self._opening: set[asyncio.Task[None]] = set()
        self._open: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, ...]] = {}
        self._server: asyncio.Server | None = None
        self.port = 0
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._do(self._refuse())
        self._do(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Close every connection that there is."""
        self._do(self._cut())

    def drop_next_answer(self) -> None:
        """Let the next thing that the server says end its connection instead."""
        self._drops_answer = True

    def refuse(self) -> None:
        """Close every connection, and take no new one."""
        self._do(self._refuse())
        self._do(self._cut())

    def swallow(self) -> None:
        """Pass nothing on, in either direction, and close nothing: a black hole."""
        self._do(self._flow_if(False))

    def heal(self) -> None:
        """Take connections again, and pass on what was held up."""
        self._do(self._listen())
        self._do(self._flow_if(True))

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, ssl=self._tls
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _flow_if(self, flows: bool) -> None:
        (self._flowing.set if flows else self._flowing.clear)()

    async def _cut(self) -> None:
        # What is on its way to the server is not to be stopped there, where nobody closes it.
        while self._opening:
            await asyncio.wait(self._opening)
        flows = list(self._open)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        opening = self._loop.create_task(self._connect(reader, writer))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, asked = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            # The server is away: the client sees its connection closed.
            writer.transport.abort()
            return
        for flow in (
            self._flow(reader, asked, are_answers=False),
            self._flow(answers, writer, are_answers=True),
        ):
            task = self._loop.create_task(flow)
            self._open[task] = (writer, asked)
            task.add_done_callback(self._close)

    def _close(self, task: asyncio.Task[None]) -> None:
        for writer in self._open.pop(task):
            # Not `close`, which would wait for those who do not read any more. What flows the
            # other way ends with it.
            writer.transport.abort()

    async def _flow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, are_answers: bool
    ) -> None:
        # Either side may be cut by who is there.
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_s)
                if not self._flowing.is_set():
                    self.swallowed.set()
                    await self._flowing.wait()
                if are_answers and self._drops_answer:
                    self._drops_answer = False
                    return
                writer.write(data)
                await writer.drain()
