"""What a router relies on in a connector, checked for one of your own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from capability_router.engine.decision import Decision
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.model import Model, Price
from capability_router.engine.observing import ObservabilityConnector
from capability_router.engine.outcome import Failure, FailureKind, Usage
from capability_router.router import CapabilityRouter
from capability_router.testing.clock import ManualClock

__all__ = ["check_connector"]

T = TypeVar("T")

_THREADS, _ROUNDS = 8, 20
_CAPABILITY = "chat-completion"


def check_connector(make: Callable[[], ObservabilityConnector]) -> None:
    """Tell a connector what a router tells, and check what ``ObservabilityConnector`` asks for.

    That it takes every type of event, with and without a pool, a model and a time, and decisions
    of calls that were served, failed over, streamed, cancelled, or served by nobody, without
    raising and without changing them; from one thread and from eight at once; and that it can be
    closed twice, if it can be closed.

    Args:
        make: Makes the connector, with whatever it sends to or writes into. Two are made.

    Raises:
        AssertionError: If the connector breaks a rule, with a sentence that says which.
    """
    items: list[RoutingEvent | Decision] = [*_events(), *_decisions()]
    _check(make, lambda connector: _tell_all(connector, items))
    _check(make, lambda connector: _tell_at_once(connector, items))


def _check(
    make: Callable[[], ObservabilityConnector], tell: Callable[[ObservabilityConnector], None]
) -> None:
    connector = _told("making it", make)
    if not callable(getattr(connector, "record", None)):
        kind = type(connector).__name__
        raise AssertionError(f"{kind!r} has no method record")  # noqa: TRY004 - a broken rule
    tell(connector)
    close = getattr(connector, "close", None)
    if callable(close):
        _told("close", close)
        _told("close, for the second time,", close)


def _tell_all(connector: ObservabilityConnector, items: list[RoutingEvent | Decision]) -> None:
    for item in items:
        before = item.as_dict()
        _told(f"record of {item}", partial(connector.record, item))
        if item.as_dict() != before:
            raise AssertionError(f"record changed what it was given: {item}")


def _tell_at_once(connector: ObservabilityConnector, items: list[RoutingEvent | Decision]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in range(_ROUNDS):
            for future in [threads.submit(connector.record, item) for item in items]:
                _told("record, from several threads at once,", future.result)


def _told(what: str, act: Callable[[], T]) -> T:
    try:
        return act()
    # Foreign code: whatever it raises is told with what it was asked to do.
    except Exception as error:
        raise AssertionError(f"{what} raised {error!r}") from error


def _events() -> list[RoutingEvent]:
    return [
        RoutingEvent(
            event_type, pool, model, 1.5, reason, until, {"changed": ["a/x"], "share": 0.5}
        )
        for event_type in EventType
        for pool, model, reason, until in (
            ("chat", "a/x", "error_threshold", 31.5),
            ("chat", "a/org/x:free", "", None),
            ("chat", "", "quota_exhausted", 31.5),
            ("", "", "", None),
        )
    ]


def _decisions() -> list[Decision]:
    clock = ManualClock(now=100.0)
    router = CapabilityRouter(clock=clock, seed=1)
    nobody = router.plan(_CAPABILITY)
    nobody.next()
    router.register(Model("a/x", (_CAPABILITY,), price=Price(1.0, 2.0)))
    router.register(Model("b/org/y", (_CAPABILITY,)))
    _fail_over(router, clock)
    _fail(router, clock)
    cancelled = router.plan(_CAPABILITY)
    cancelled.next()
    cancelled.cancelled()
    return router.decisions


def _fail(router: CapabilityRouter, clock: ManualClock) -> None:
    call = router.plan(_CAPABILITY)
    for kind in (FailureKind.TIMEOUT, FailureKind.PROTOCOL):
        call.next()
        clock.advance(2.0)
        call.failed(Failure(kind))
    call.next()


def _fail_over(router: CapabilityRouter, clock: ManualClock) -> None:
    call = router.plan(_CAPABILITY)
    call.next()
    clock.advance(2.0)
    call.failed(Failure(FailureKind.OVERLOADED, 503, 7.0, "overloaded"))
    call.next()
    clock.advance(0.5)
    call.first_token()
    clock.advance(2.5)
    call.succeeded(Usage(100, 20))
