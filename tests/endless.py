"""A server that never comes to an end, and that knows which of its clients have left."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from socket import socket
from socketserver import BaseRequestHandler, ThreadingTCPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Endless:
    """Such a server while it runs; ``left`` is released by each client that has gone."""

    port: int
    scheme: str = "http"
    left: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    def is_alone(self, clients: int = 1) -> bool:
        """Wait for some clients to leave."""
        return all(self.left.acquire(timeout=10.0) for _ in range(clients))


@contextmanager
def endless(
    head: bytes = b"", again: bytes = b"", tls: ssl.SSLContext | None = None
) -> Iterator[Endless]:
    """Run a server that answers what it is sent with a head, and then repeats itself.

    Args:
        head: Sent once the client has said something.
        again: Sent every ten milliseconds from then on; nothing if empty.
        tls: The server's certificate.
    """
    over = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            # A client that leaves shows in many ways.
            with suppress(OSError), secured(self.request) as client:
                talk(client)
            if not over.is_set():
                running.left.release()

    def secured(client: socket) -> socket:
        return tls.wrap_socket(client, server_side=True) if tls else client

    def talk(client: socket) -> None:
        client.settimeout(10.0)
        client.recv(65536)
        client.sendall(head)
        client.settimeout(0.01)
        while not over.is_set():
            client.sendall(again)
            with suppress(TimeoutError):
                if not client.recv(65536):
                    return

    class Server(ThreadingTCPServer):
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        running = Endless(server.server_address[1], "https" if tls else "http")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            over.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Certificate:
    """One for 127.0.0.1 that has signed itself."""

    path: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.path)


def self_signed(folder: Path) -> Certificate:
    """Make a certificate that is good for a day."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    loopback = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "loopback.pem"
    path.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return Certificate(path)
