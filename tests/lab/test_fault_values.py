"""Faults and quotas as values: what builds them, what is refused, how they are shown."""

from collections.abc import Callable

import pytest

from capability_router.lab import (
    Fault,
    FaultKind,
    Quota,
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
    quota,
    quota_exhausted,
    rate_limited,
    redirect,
    refused,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)

EVERY_FAULT = [
    ok(),
    ok(seconds_per_chunk=0.2),
    latency(1.5),
    rate_limited(),
    rate_limited(2),
    rate_limited("soon", retry_after_ms=7),
    server_error(502),
    overloaded(529),
    unauthorized(),
    context_overflow(),
    policy_violation("content_filter"),
    bad_request(),
    not_found(),
    quota_exhausted(),
    payment_required(),
    hang(),
    reset(),
    refused(),
    cut_stream(after=3, framing="close"),
    silent_stream(0),
    silent_stream(2, seconds=0.5),
    malformed_chunk(4),
    malformed_chunk(extra=True),
    html(),
    late_first_token(3),
    pings(2.0, every=0.5),
    no_done(),
    no_usage(),
    duplicate_finish(),
    empty_answer(),
    filtered(),
    filtered(after=2),
    oversized(10_000),
    redirect(),
    redirect(308, "http://127.0.0.1:9/v1"),
]


def test_every_kind_of_fault_is_tried_here() -> None:
    assert {fault.kind for fault in EVERY_FAULT} == set(FaultKind)


@pytest.mark.parametrize("fault", EVERY_FAULT, ids=str)
def test_fault_survives_the_way_through_json(fault: Fault) -> None:
    assert Fault.from_mapping(fault.as_mapping()) == fault


def test_fault_is_shown_as_the_call_that_makes_it() -> None:
    assert str(cut_stream(after=3, framing="close")) == "cut_stream(after=3, framing='close')"
    assert str(cut_stream()) == "cut_stream()"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"kind": "rate_limitted"}, r"'rate_limitted'.*allowed: ok, .*did you mean 'rate_limited'"),
        ({"kind": 7}, "fault kind 7"),
        ({}, "fault kind None"),
        ({"kind": "rate_limited", "retry_afer": 2}, "'retry_afer'.*did you mean 'retry_after'"),
        ({"kind": "hang", "seconds": 2}, "parameter of hang 'seconds', allowed: none"),
        ({"kind": "latency"}, "latency needs 'seconds'"),
        ({"kind": "latency", "seconds": "2"}, "seconds must be a finite number.*'2'"),
        ({"kind": "latency", "seconds": -1}, "at least 0, found -1"),
        ({"kind": "latency", "seconds": True}, "found True"),
        ({"kind": "latency", "seconds": float("inf")}, "found inf"),
        ({"kind": "cut_stream", "after": 1.5}, "after must be a whole number"),
        ({"kind": "cut_stream", "framing": "chunk"}, "'chunk'.*did you mean 'chunked'"),
        ({"kind": "policy_violation", "code": []}, "unknown code"),
        ({"kind": "server_error", "status": 404}, "from 500 to 599, found 404"),
        ({"kind": "rate_limited", "retry_after": "2\r\nx: y"}, "one line of printable ASCII"),
        ({"kind": "rate_limited", "retry_after_ms": -5}, "retry_after_ms"),
        ({"kind": "late_first_token"}, "late_first_token needs 'seconds'"),
        ({"kind": "late_first_token", "seconds": -1}, "at least 0, found -1"),
        ({"kind": "silent_stream", "seconds": "1"}, "seconds must be a finite number.*'1'"),
        ({"kind": "malformed_chunk", "extra": 1}, "extra must be true or false, found 1"),
        ({"kind": "pings", "seconds": 1, "every": 0}, "every must be above 0"),
        ({"kind": "filtered", "after": -1}, "after must be a whole number"),
        ({"kind": "oversized", "size_bytes": 0}, "size_bytes must be a whole number of at least 1"),
        ({"kind": "redirect", "status": 304}, "301, 302, 303, 307, 308, found 304"),
        ({"kind": "redirect", "status": "307"}, "found '307'"),
        ({"kind": "redirect", "location": "x\r\ny: z"}, "one line of printable ASCII"),
        ({"kind": "redirect", "location": 7}, "one line of printable ASCII, found 7"),
    ],
)
def test_wrong_mapping_is_refused_with_what_is_allowed(
    mapping: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Fault.from_mapping(mapping)


@pytest.mark.parametrize(
    "make",
    [
        lambda: quota(-1),
        lambda: quota(1, resets_after=0),
        lambda: Quota.from_mapping({}),
        lambda: Quota.from_mapping({"requests": "3"}),
        lambda: Quota.from_mapping({"requests": 3, "reset_after": 1}),
    ],
)
def test_wrong_quota_is_refused(make: Callable[[], Quota]) -> None:
    with pytest.raises(ValueError, match=r"requests|resets_after"):
        make()


def test_quota_is_read_from_a_mapping() -> None:
    assert Quota.from_mapping({"requests": 3, "resets_after": 60}) == quota(3, resets_after=60)
    assert Quota.from_mapping({"requests": 0}) == quota(0)
