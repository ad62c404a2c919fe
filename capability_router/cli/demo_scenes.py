"""What the demo plays: three providers, what befalls them, and the requests that meet it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from capability_router.cli.lab_client import JoinedPieces, Piece, PieceWatch, ask, ask_streamed
from capability_router.driving.drivers import stream
from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.feature import Feature
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Provider
from capability_router.engine.recovery import Cooldown
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.steps import Try
from capability_router.lab import Lab, cut_stream, rate_limited
from capability_router.registry import strategy
from capability_router.router import CapabilityRouter

__all__ = ["CAPABILITY", "PROVIDERS", "Scene", "router_of_lab", "scenes"]

PROVIDERS = ("alpha", "beta", "gamma")
CAPABILITY = "chat-completion"

_QUESTION = "good morning, and how are you today?"
_FEATURES = frozenset({Feature.STREAMING, Feature.ASSISTANT_PREFILL})
_REST_S = 2.0
"""Long enough to see a model on standby, short enough to wait for it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens, and the requests that meet it.

    Attributes:
        title: What happens, in a line.
        prepare: Makes it happen.
        requests: Each sends a request and returns what the caller gets.
        waits: Whether the models on standby are waited for before the requests.
    """

    title: str
    prepare: Callable[[], None]
    requests: tuple[Callable[[], str], ...]
    waits: bool = False


def router_of_lab(lab: Lab) -> CapabilityRouter:
    """Return a router with two pools: alpha and beta for chats, and above it gamma for all texts.

    Args:
        lab: It runs; its providers are ``PROVIDERS``.
    """
    router = CapabilityRouter(providers=[Provider(p.name, "openai", p.base_url) for p in lab])
    policy = RotationPolicy(
        deactivation=ErrorThreshold(consecutive=1),
        recovery=Cooldown(_REST_S, jitter=0.0),
        selection=strategy("priority"),
        # Both may leave: whoever has a pool above to fall back to can afford it.
        max_ejected=1.0,
    )
    router.add_pool("text", "text-generation", policy, PoolPreferences(allowed_providers=["gamma"]))
    router.add_pool("chat", CAPABILITY, policy, PoolPreferences(excluded_providers=["gamma"]))
    for name in PROVIDERS:
        router.register(Model(f"{name}/small", (CAPABILITY,), features=_FEATURES))
    return router


def scenes(lab: Lab, router: CapabilityRouter) -> Iterator[Scene]:
    """Return what happens, in order; each is over before the next is asked for."""
    alpha, pair = lab["alpha"], (lab["alpha"], lab["beta"])
    caller = _Caller(lab, router)

    def stop() -> None:
        for provider in pair:
            provider.stop()

    def start() -> None:
        for provider in pair:
            provider.start()

    yield Scene("All is well", _nothing, (caller.ask,))
    yield Scene(
        f"alpha has too many requests: HTTP 429, come back in {_REST_S:.0f} s",
        lambda: alpha.script(rate_limited(_REST_S)),
        (caller.ask,),
    )
    yield Scene(
        "Its time is over: one request is the trial of alpha", _nothing, (caller.ask,), waits=True
    )
    yield Scene(
        "alpha and beta go down: nothing listens at their ports", stop, (caller.ask, caller.ask)
    )
    yield Scene(
        "Both are up again, and nobody tells the router",
        start,
        (caller.ask, caller.ask),
        waits=True,
    )
    yield Scene(
        "alpha breaks off in the middle of a streamed answer",
        lambda: alpha.script(cut_stream(after=5)),
        (caller.ask_streamed,),
    )


def _nothing() -> None:
    """Let all be as it is."""


class _Caller:
    """Sends the requests, as an application would."""

    def __init__(self, lab: Lab, router: CapabilityRouter) -> None:
        self._lab = lab
        self._router = router

    def ask(self) -> str:
        """Return a whole answer."""
        answer = self._router.call(
            CAPABILITY, lambda model: ask(self._url(model), model.name, _conversation(""))
        )
        return str(answer["choices"][0]["message"]["content"])

    def ask_streamed(self) -> str:
        """Return an answer that came in pieces, whoever they came from."""
        router = self._router
        pieces = stream(
            router.plan(CAPABILITY),
            self._pieces,
            lambda _: PieceWatch(),
            router.clock,
            JoinedPieces(),
        )
        return "".join(piece.text for piece in pieces)

    def _pieces(self, step: Try) -> Generator[Piece, None, None]:
        model = step.model
        return ask_streamed(self._url(model), model.name, _conversation(step.prefill))

    def _url(self, model: Model) -> str:
        return self._lab[model.provider].base_url


def _conversation(prefill: str) -> list[dict[str, str]]:
    """Return the question, and what the caller has of the answer already."""
    begun = [{"role": "assistant", "content": prefill.rstrip()}] if prefill else []
    return [{"role": "user", "content": _QUESTION}, *begun]
