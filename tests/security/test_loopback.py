"""What the lab opens can be reached from this machine alone."""

import socket
import sys

import pytest

from capability_router.lab import Lab

ELSEWHERE = "127.0.0.2"
"""Another address of this machine: free where only 127.0.0.1 is listened on."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="has no second loopback address")


def is_free(address: str, port: int) -> bool:
    with socket.socket() as other:
        try:
            other.bind((address, port))
        except OSError:
            return False
        return True


def test_providers_and_control_listen_on_loopback_only() -> None:
    with Lab(["alpha"], answers="echo", control_port=0) as lab:
        control = int((lab.control_url or "").rstrip("/").rpartition(":")[2])
        for port in (lab["alpha"].port, control):
            assert not is_free("127.0.0.1", port)
            assert is_free(ELSEWHERE, port)


def test_port_that_is_open_to_everybody_would_be_noticed() -> None:
    with socket.socket() as everybody:
        everybody.bind(("0.0.0.0", 0))
        everybody.listen()
        assert not is_free(ELSEWHERE, everybody.getsockname()[1])
