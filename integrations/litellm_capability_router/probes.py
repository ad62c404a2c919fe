"""One cheap real call per model, to see whether it can be reached with the key that is there.

Goes past the router: no lease, no limit, no standing. What it finds is told, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from time import monotonic
from types import MappingProxyType
from typing import Any

import litellm

from capability_router import CapabilityRouter, Failure, Model, Outcome, Usage
from capability_router.credentials import without_key
from litellm_capability_router.answers import checked_usage, failure_of_litellm
from litellm_capability_router.deployments import completion_params
from litellm_capability_router.endpoints import ENDPOINTS

__all__ = ["Probed", "probe", "probe_all"]

_AT_ONCE = 8
_TOKENS = 16
"""Enough for a word, and for the models that refuse fewer."""

_CHEAP: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "embedding": {"input": ["ok"]},
        "rerank": {"query": "ok", "documents": ["ok"]},
        "moderation": {"input": "ok"},
        "completion": {
            "messages": [{"role": "user", "content": "Say ok."}],
            "max_tokens": _TOKENS,
        },
    }
)
"""The calls that cost next to nothing, each with what it asks; what draws or speaks is not here."""

_COSTLY = ("image_generation", "speech", "transcription")
_NOTHING = Usage()
_ENDPOINTS = {each.name: each for each in ENDPOINTS}


@dataclass(frozen=True, slots=True)
class Probed:
    """What one call has found.

    Attributes:
        model: The model.
        endpoint: LiteLLM's name of the call; None if there is no cheap one, and none was made.
        failure: Why there was no answer; None for an answer, or if nobody was asked.
        latency_s: Seconds that it took.
        usage: Tokens, with the cost where it is known.
    """

    model: Model
    endpoint: str | None
    failure: Failure | None = None
    latency_s: float = 0.0
    usage: Usage = _NOTHING

    @property
    def cost_usd(self) -> float | None:
        """What it has cost, in US dollars; None if that is not known."""
        if self.model.price is not None:
            return self.model.cost_usd(self.usage)
        return self.usage.cost_usd

    def as_dict(self) -> dict[str, object]:
        """Return it as JSON-ready values."""
        return {
            "model": self.model.id,
            "provider": self.model.provider,
            "endpoint": self.endpoint,
            "ok": None if self.endpoint is None else self.failure is None,
            "kind": str(self.failure.kind) if self.failure else None,
            "status": self.failure.status if self.failure else None,
            "message": self.failure.message if self.failure else "",
            "latency_s": round(self.latency_s, 3),
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost_usd": self.cost_usd,
        }


def probe_all(
    router: CapabilityRouter,
    models: Iterable[Model],
    timeout_s: float = 20.0,
    at_once: int = _AT_ONCE,
) -> Iterator[Probed]:
    """Ask several models at once; yields what was found, as the answers come.

    Args:
        router: Knows how to reach them.
        models: Whom to ask.
        timeout_s: Seconds to an answer, > 0. Default 20.
        at_once: Calls at once at most, >= 1. Default 8.
    """
    # It would print advice into what programs read.
    quiet, litellm.suppress_debug_info = litellm.suppress_debug_info, True
    threads = ThreadPoolExecutor(at_once, thread_name_prefix="capability-router-probe")
    try:
        asked = [threads.submit(probe, router, model, timeout_s) for model in models]
        for done in as_completed(asked):
            yield done.result()
    finally:
        litellm.suppress_debug_info = quiet
        threads.shutdown(cancel_futures=True)


def probe(router: CapabilityRouter, model: Model, timeout_s: float = 20.0) -> Probed:
    """Ask one model, once and without repetition; see ``probe_all``."""
    name = cheap_call(model)
    if name is None:
        return Probed(model, None)
    call: Callable[..., Any] = _ENDPOINTS[name].call
    provider = router.provider(model.provider)
    params = completion_params(provider, model)
    start = monotonic()
    try:
        usage = checked_usage(call(**params, **_CHEAP[name], timeout=timeout_s))
    except Exception as error:  # noqa: BLE001 - a client library may raise anything
        failure = without_key(Outcome(failure_of_litellm(error)), provider).failure
        return Probed(model, name, failure, monotonic() - start)
    return Probed(model, name, None, monotonic() - start, usage)


def cheap_call(model: Model) -> str | None:
    """Return LiteLLM's name of a cheap call that a model can answer; None if there is none."""
    if any(_serves(model, name) for name in _COSTLY):
        return None
    return next((name for name in _CHEAP if _serves(model, name)), None)


def _serves(model: Model, name: str) -> bool:
    return all(_ENDPOINTS[name].can_ask(node) for node in model.capabilities)
