"""Further faults."""

from __future__ import annotations

from capability_router.lab import (
    cut_stream,
    duplicate_finish,
    empty_answer,
    hang,
    html,
    no_usage,
    ok,
    overloaded,
    oversized,
    pings,
    redirect,
    server_error,
)
from tests.faults.case import ALPHA, NO, Case, always, beta_after
from tests.faults.stage import LIMIT_S

__all__ = ["FURTHER"]

FURTHER = (
    Case(
        "17a",
        "every provider is down",
        alpha=always(server_error()),
        beta=always(overloaded()),
        default="all failed: alpha server_error, beta overloaded",
        patient=(
            "all failed: alpha server_error, alpha server_error, beta overloaded, beta overloaded"
        ),
    ),
    Case(
        "17b",
        "every provider is silent",
        alpha=always(hang()),
        beta=always(hang()),
        default="all failed: alpha timeout, beta timeout",
        is_waited_for=True,
    ),
    Case(
        "18",
        "a web page in the place of JSON",
        alpha=always(html()),
        default=beta_after("protocol"),
    ),
    Case(
        "19a",
        "cut before the first token, chunked",
        alpha=always(cut_stream(0, "chunked")),
        default=beta_after("protocol"),
    ),
    Case(
        "19b",
        "cut before the first token, framed by its end",
        alpha=always(cut_stream(0, "close")),
        default=beta_after("protocol"),
    ),
    Case(
        "20", "an answer without usage", alpha=always(no_usage()), default=ALPHA, tells_usage=False
    ),
    Case(
        "21a",
        "a tool call cut in its middle, chunked",
        alpha=always(cut_stream(2, "chunked")),
        with_tool=True,
        finish="tool_calls",
        default=(beta_after("protocol"), "interrupted: alpha protocol"),
    ),
    Case(
        "21b",
        "a tool call cut in its middle, framed by its end",
        alpha=always(cut_stream(2, "close")),
        with_tool=True,
        finish="tool_calls",
        default=(beta_after("protocol"), "interrupted: alpha protocol"),
    ),
    Case("22", "an empty answer", alpha=always(empty_answer()), default=beta_after("protocol")),
    Case("23", "the finish reason twice", alpha=always(duplicate_finish()), default=ALPHA),
    Case(
        "24",
        "a redirect to itself",
        alpha=always(redirect()),
        default=beta_after("connection"),
        requests_of_one=21,
    ),
    Case("25", "a body of 2 MB of space", alpha=always(oversized(2_000_000)), default=ALPHA),
    Case(
        "26",
        "a slow drip, below every limit, past the deadline",
        alpha=always(ok(seconds_per_chunk=LIMIT_S / 5)),
        default=(NO, "interrupted: alpha timeout"),
        deadline_s=2 * LIMIT_S,
    ),
    Case(
        "27",
        "pings in the place of the first token",
        alpha=always(pings(30, every=0.05)),
        default=beta_after("timeout"),
        is_waited_for=True,
    ),
)
