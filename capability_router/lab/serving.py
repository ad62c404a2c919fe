"""Runs a lab for people at a terminal, until they interrupt it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from capability_router.lab.answers import AnswerSource
from capability_router.lab.faults import FaultKind
from capability_router.lab.lab import AnswersChoice, Lab

__all__ = [
    "serve",
]


def _until_interrupted() -> None:
    while True:
        # Unlike the wait for an event, a sleep can be interrupted on Windows too.
        time.sleep(3600)


def serve(
    names: Sequence[str],
    ports: Sequence[int],
    answers: AnswersChoice | AnswerSource,
    control_port: int,
    announce: Callable[[str], None],
    *,
    wait: Callable[[], None] = _until_interrupted,
) -> None:
    """Start a lab, say where it is, and stop it when interrupted.

    Args:
        names: Provider names.
        ports: One port per provider; empty or 0 lets the system choose.
        answers: As for :class:`Lab`.
        control_port: Port of the control endpoint; 0 lets the system choose.
        announce: Gets one line at a time.
        wait: Returns, or raises ``KeyboardInterrupt``, when the lab is to stop.

    Raises:
        ValueError: If a name or a number of ports is wrong.
        LabError: If a port is taken or the model cannot be loaded.
    """
    with Lab(names, answers, ports=ports, control_port=control_port) as lab:
        for provider in lab:
            announce(f"{provider.name}: {provider.base_url}")
        announce(f"control: {lab.control_url}")
        announce("Break a provider, and heal it:")
        target = f"{lab.control_url}/providers/{names[0]}"
        announce(
            f"""  curl -X PUT {target}/fault -d '{{"kind": "rate_limited", "retry_after": 2}}'"""
        )
        announce(f"  curl -X POST {target}/heal")
        announce("Kill it, and revive it:")
        announce(f"  curl -X POST {target}/stop")
        announce(f"  curl -X POST {target}/start")
        announce(f"Kinds of faults: {', '.join(kind.value for kind in FaultKind)}")
        try:
            wait()
        except KeyboardInterrupt:
            announce("stopping")
