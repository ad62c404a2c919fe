"""Orders of people in shared state, given from outside of every process that routes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from secrets import token_hex

from capability_router.engine.limits import Scope
from capability_router.storage import facts
from capability_router.storage.store import Answer, Entry, Exchange, StateStore, Write

__all__ = ["give", "lift"]

_KEPT_S = 3600.0


def give(store: StateStore, scope: Scope, reason: str, for_s: float | None) -> float:
    """Send a model, or all models of a provider, to standby in every process.

    Args:
        store: Where they share their state.
        scope: The model or provider.
        reason: Why.
        for_s: Seconds after which it is active again, > 0; None to leave that to ``lift``.

    Returns:
        Store seconds when it ends; ``inf`` for never.

    Raises:
        StoreError: If the store cannot be asked.
    """
    key = facts.by_hand_key(scope)
    answer = _ask(store)
    until = inf if for_s is None else round(answer.now + for_s, 3)
    value = facts.pack(reason=reason, until=None if until == inf else until)
    known = next((entry.version for entry in answer.entries or () if entry.key == key), 0)
    _ask(store, Write(key, value, until, until + _KEPT_S, known))
    return until


def lift(store: StateStore, concerns: Callable[[Scope], bool]) -> list[tuple[str, str]]:
    """End whatever holds some models or providers, in every process.

    Args:
        store: Where they share their state.
        concerns: Says of a model or provider whether it is meant.

    Returns:
        What was lifted, as model or provider and reason, each once.

    Raises:
        StoreError: If the store cannot be asked.
    """
    found = [
        (entry, *told)
        for entry in _ask(store).entries or ()
        if (told := _told(entry)) is not None and concerns(told[0])
    ]
    _ask(store, *(Write(entry.key, None, base=entry.version) for entry, _, _ in found))
    return list(dict.fromkeys((scope.name, reason) for _, scope, reason in found))


def _told(entry: Entry) -> tuple[Scope, str] | None:
    """Whom an entry holds, and why; None if it is no order."""
    try:
        kind = facts.kind_of(entry.key)
        if kind == "by_hand":
            return facts.scope_of(entry.key), str(facts.unpack(entry)["reason"])
        if kind == "order":
            return facts.held_model(entry.key)
    except (KeyError, facts.UnreadableError):
        return None
    return None


def _ask(store: StateStore, *writes: Write) -> Answer:
    return store.exchange(Exchange(token_hex(8), writes, snapshot=not writes))
