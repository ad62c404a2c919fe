"""Runs a lab for people at a terminal, until they interrupt it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

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


def _greeting(lab: Lab) -> Iterator[str]:
    """Where everything is, and what to do with it."""
    for provider in lab:
        yield f"{provider.name}: {provider.base_url}"
    yield f"control: {lab.control_url}"
    yield "Break a provider, and heal it:"
    target = f"{lab.control_url}/providers/{next(iter(lab)).name}"
    yield f"""  curl -X PUT {target}/fault -d '{{"kind": "rate_limited", "retry_after": 2}}'"""
    yield f"  curl -X POST {target}/heal"
    yield "Kill it, and revive it:"
    yield f"  curl -X POST {target}/stop"
    yield f"  curl -X POST {target}/start"
    yield f"Kinds of faults: {', '.join(kind.value for kind in FaultKind)}"


def serve(
    names: Sequence[str],
    ports: Sequence[int],
    answers: AnswersChoice | AnswerSource,
    control_port: int,
    announce: Callable[[str], None],
    *,
    greeting: Callable[[Lab], Iterable[str]] = _greeting,
    wait: Callable[[], None] = _until_interrupted,
) -> None:
    """Start a lab, say where it is, and stop it when interrupted.

    Args:
        names: Provider names.
        ports: One port per provider; empty or 0 lets the system choose.
        answers: As for :class:`Lab`.
        control_port: Port of the control endpoint; 0 lets the system choose.
        announce: Gets one line at a time.
        greeting: Returns what to announce when the lab runs.
        wait: Returns, or raises ``KeyboardInterrupt``, when the lab is to stop.

    Raises:
        ValueError: If a name or a number of ports is wrong.
        LabError: If a port is taken or the model cannot be loaded.
    """
    with Lab(names, answers, ports=ports, control_port=control_port) as lab:
        for line in greeting(lab):
            announce(line)
        try:
            wait()
        except KeyboardInterrupt:
            announce("stopping")
