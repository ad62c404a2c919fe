"""What processes share, as entries of a store: the names of the keys and the form of the values."""

from __future__ import annotations

import json
from functools import lru_cache
from math import inf
from typing import Any, cast

from capability_router.engine.limits import Scope
from capability_router.engine.member import Order
from capability_router.engine.meter import Meter
from capability_router.engine.permits import Trial
from capability_router.engine.replica import HeldOrder
from capability_router.storage.store import Entry
from capability_router.storage.store_clock import StoreClock

__all__ = [
    "CONFIGURATION",
    "UnreadableError",
    "by_hand_key",
    "claim_key",
    "held_by",
    "held_model",
    "held_order",
    "kind_of",
    "latency_key",
    "meter_key",
    "model_of",
    "order_by_hand",
    "order_key",
    "pack",
    "packed_by_hand",
    "packed_order",
    "scope_of",
    "unpack",
]


class UnreadableError(ValueError):
    """An entry is not what this version writes."""


@lru_cache(maxsize=100_000)
def _key(*parts: str) -> str:
    return json.dumps(parts, separators=(",", ":"))


CONFIGURATION = _key("configuration")
"""Key of the configuration that was read last by any process."""


def order_key(held: HeldOrder) -> str:
    """Return the key of an order that holds a model in a pool."""
    return _key("order", held.pool, held.model, str(held.order.reason))


def by_hand_key(scope: Scope) -> str:
    """Return the key of what a person has ordered about a model or a provider."""
    return _key("by_hand", scope.kind, scope.name)


def latency_key(model_id: str) -> str:
    """Return the key of how slow a model is."""
    return _key("latency", model_id)


def claim_key(trial: Trial) -> str:
    """Return the key of the claim to be the only one who tries a model."""
    return _key("trial", *trial)


def meter_key(meter: Meter) -> str:
    """Return the name of a limit, which is the same in every process."""
    limit, scope = meter.limit, meter.scope
    window = str(limit.resets or limit.window_s or "ever")
    return _key(scope.kind, scope.name, str(limit.unit), window)


def kind_of(key: str) -> str:
    """Return what an entry is about: ``order``, ``by_hand``, ``latency`` or ``configuration``.

    Raises:
        UnreadableError: If it is not a key of this version.
    """
    return _parts(key)[0]


def pack(**values: object) -> str:
    """Return a value as JSON text."""
    return json.dumps(values, separators=(",", ":"), allow_nan=False)


def unpack(entry: Entry) -> dict[str, Any]:
    """Return the value of an entry.

    Raises:
        UnreadableError: If it is no JSON object.
    """
    try:
        values: object = json.loads(entry.value or "")
    except ValueError as error:
        raise UnreadableError(f"{entry.key} is no JSON text") from error
    if not isinstance(values, dict):
        raise UnreadableError(f"{entry.key} is no JSON object")
    return cast("dict[str, Any]", values)


def packed_order(held: HeldOrder, clock: StoreClock) -> str:
    """Return the value of an order that holds a model in a pool."""
    order = held.order
    return pack(
        until=_until(order, clock),
        whole_provider=order.whole_provider,
        probe=order.probe,
        stated=order.stated,
        step=held.step,
    )


def held_order(entry: Entry, clock: StoreClock) -> HeldOrder:
    """Return what ``packed_order`` has written.

    Raises:
        UnreadableError: If it is something else.
    """
    values = unpack(entry)
    pool, model, reason = _of_order(entry.key)
    try:
        order = Order(
            reason,
            _own(values["until"], clock),
            whole_provider=bool(values["whole_provider"]),
            probe=bool(values["probe"]),
            stated=bool(values["stated"]),
        )
        return HeldOrder(pool, model, order, int(values["step"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"{entry.key} is no order: {error!r}") from error


def held_by(key: str, order: Order) -> HeldOrder:
    """Return an order with the pool and the model that its key names.

    Raises:
        UnreadableError: If the key says nothing of the kind.
    """
    pool, model, _ = _of_order(key)
    return HeldOrder(pool, model, order, 0)


def held_model(key: str) -> tuple[Scope, str]:
    """Return the model that an order holds, and why.

    Raises:
        UnreadableError: If the key says nothing of the kind.
    """
    _, model, reason = _of_order(key)
    return Scope("model", model), reason


def packed_by_hand(order: Order, clock: StoreClock) -> str:
    """Return the value of what a person has ordered."""
    return pack(reason=str(order.reason), until=_until(order, clock))


def scope_of(key: str) -> Scope:
    """Return the model or provider that a person has ordered something about.

    Raises:
        UnreadableError: If the key says nothing of the kind.
    """
    parts = _parts(key)
    if len(parts) != 3 or parts[1] not in {"model", "provider"}:
        raise UnreadableError(f"{key} names no model and no provider")
    return Scope(parts[1], parts[2])


def model_of(key: str) -> str:
    """Return the id of the model that a key is about, which stands last in it.

    Raises:
        UnreadableError: If it is not a key of this version.
    """
    return _parts(key)[-1]


def order_by_hand(entry: Entry, clock: StoreClock) -> Order:
    """Return what ``packed_by_hand`` has written.

    Raises:
        UnreadableError: If it is something else.
    """
    values = unpack(entry)
    try:
        return Order(str(values["reason"]), _own(values["until"], clock), probe=False)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"{entry.key} is no order of a person: {error!r}") from error


def _until(order: Order, clock: StoreClock) -> float | None:
    return None if order.until == inf else round(clock.to_store(order.until), 4)


def _own(until: float | None, clock: StoreClock) -> float:
    return inf if until is None else clock.to_own(float(until))


def _of_order(key: str) -> tuple[str, str, str]:
    """Pool, model and reason."""
    parts = _parts(key)
    if len(parts) != 4:
        raise UnreadableError(f"{key} names no pool, model and reason")
    return parts[1], parts[2], parts[3]


def _parts(key: str) -> list[str]:
    try:
        parts: object = json.loads(key)
    except ValueError as error:
        raise UnreadableError(f"{key!r} is no key of this version") from error
    texts = cast("list[object]", parts) if isinstance(parts, list) else []
    if not texts or not all(isinstance(part, str) for part in texts):
        raise UnreadableError(f"{key!r} is no key of this version")
    return cast("list[str]", texts)
