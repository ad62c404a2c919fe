"""What comes over a provider: every fault of the lab, as chance will have it."""

from collections.abc import Callable
from random import Random

from capability_router.lab import (
    Fault,
    FaultKind,
    bad_request,
    context_overflow,
    cut_stream,
    duplicate_finish,
    empty_answer,
    filtered,
    hang,
    html,
    late_first_token,
    latency,
    malformed_chunk,
    no_done,
    no_usage,
    not_found,
    ok,
    overloaded,
    oversized,
    payment_required,
    pings,
    policy_violation,
    quota_exhausted,
    rate_limited,
    redirect,
    refused,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)

__all__ = ["STORMS", "changed"]

FAIR = 0.4
"""How much of the time a provider is well."""

Storm = Callable[[Random], Fault]

STORMS: list[Storm] = [
    lambda chance: ok(seconds_per_chunk=chance.uniform(0.01, 0.1)),
    lambda chance: latency(chance.uniform(0.05, 3.0)),
    lambda chance: rate_limited(chance.choice([None, 0.1, 0.3, 1.0, "soon"])),
    lambda chance: rate_limited(retry_after_ms=chance.randint(50, 1000)),
    lambda chance: server_error(chance.choice([500, 502, 504])),
    lambda chance: overloaded(chance.choice([503, 529])),
    lambda _: unauthorized(),
    lambda _: context_overflow(),
    lambda _: policy_violation(),
    lambda _: bad_request(),
    lambda _: not_found(),
    lambda _: quota_exhausted(),
    lambda _: payment_required(),
    lambda _: hang(),
    lambda _: reset(),
    lambda _: refused(),
    lambda chance: cut_stream(chance.randint(0, 40), "chunked"),
    lambda chance: cut_stream(chance.randint(0, 40), "close"),
    lambda chance: silent_stream(chance.randint(0, 40), chance.choice([0.3, 3.0, None])),
    lambda chance: malformed_chunk(chance.randint(0, 40), chance.random() < 0.5),
    lambda _: html(),
    lambda chance: late_first_token(chance.uniform(0.1, 4.0)),
    lambda chance: pings(chance.uniform(0.2, 4.0), every=0.1),
    lambda _: no_done(),
    lambda _: no_usage(),
    lambda _: duplicate_finish(),
    lambda _: empty_answer(),
    lambda chance: filtered(chance.randint(0, 10)),
    lambda _: oversized(20_000),
    lambda _: redirect(),
]


def changed(chance: Random, *, goes_on: bool) -> Fault:
    """Draw the next weather.

    Args:
        chance: Source of chance.
        goes_on: Whether the provider goes on with the answers of others. None of these may fall
            silent and say that it has ended well: two who do are believed, as they should be.
    """
    fault = ok() if chance.random() < FAIR else chance.choice(STORMS)(chance)
    return ok() if goes_on and fault.kind is FaultKind.EMPTY_ANSWER else fault
