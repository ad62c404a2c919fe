"""Two models of a lab with all that is told of their attempts, on a clock that keeps moving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from capability_router import (
    CapabilityRouter,
    Model,
    Outcome,
    Priority,
    Provider,
    RotationPolicy,
    RoutingEvent,
    Secret,
)
from capability_router.engine.member import Member
from capability_router.lab import Lab, LabProvider
from capability_router.testing import ManualClock
from tests.litellm.surfaces import SURFACES, Surface

TICK_S = 0.001
SPOKEN = (3, 5)
"""Tokens of the question and of the lab's echo, which counts words."""
LISTED_USD = pytest.approx((3 * 0.15 + 5 * 0.60) / 1e6)
"""What LiteLLM's price list says of that for gpt-4o-mini."""


class TickingClock(ManualClock):
    """A clock that moves a little with every look at it, as real ones do."""

    def now(self) -> float:
        self.advance(TICK_S)
        return super().now()


class Noting(Priority):
    """Priority that notes what it is told to learn."""

    def __init__(self, rng: Random, learnt: list[tuple[str, Outcome]]) -> None:
        super().__init__(rng)
        self._learnt = learnt

    def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
        assert latency_s >= TICK_S / 2
        self._learnt.append((member.model.id, outcome))


@dataclass
class Desk:
    """Two models of one name, the better one of alpha, and all that is told of their attempts."""

    lab: Lab
    place: Callable[[CapabilityRouter], Any]
    name: str = "gpt-4o-mini"
    leaf: str = "chat-completion"
    vendor: str = "openai"
    lease_ttl_s: float = 600.0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    learnt: list[tuple[str, Outcome]] = field(default_factory=list[tuple[str, Outcome]])
    events: list[RoutingEvent] = field(default_factory=list[RoutingEvent])

    def __post_init__(self) -> None:
        self.clock = TickingClock()
        self.router = CapabilityRouter(
            providers=[
                Provider(p.name, self.vendor, base_url=_url(p, self.vendor), api_key=Secret("key"))
                for p in self.lab
            ],
            policy=RotationPolicy(selection=lambda rng: Noting(rng, self.learnt)),
            clock=self.clock,
            seed=7,
            lease_ttl_s=self.lease_ttl_s,
        )
        for provider in self.lab:
            self.router.register(Model(f"{provider.name}/{self.name}", (self.leaf,), **self.facts))
        self.router.emitter.subscribe(self.events.append)
        self.host = self.place(self.router)

    def state(self, provider: str) -> Any:
        return self.router.state(f"{provider}/{self.name}")

    def calls(self) -> list[int]:
        return [provider.request_count for provider in self.lab]

    def in_flight(self) -> list[int]:
        return [self.state(provider.name).in_flight for provider in self.lab]


def _url(provider: LabProvider, vendor: str) -> str:
    return provider.root_url if vendor == "anthropic" else provider.base_url


def asked(desk: Desk, ask: Surface) -> str:
    """Ask; a stream is asked for its usage, which this kind of server does not tell otherwise."""
    wants = {"stream_options": {"include_usage": True}} if is_stream(ask) else {}
    return ask(desk.host, **wants)


def is_stream(ask: Surface) -> bool:
    return ask in (SURFACES["completion(stream)"], SURFACES["acompletion(stream)"])
