"""One body sent to one address over HTTP, again where that may help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from uuid import uuid4

import httpx

from capability_router.headers import retry_after_s
from capability_router.observability.ranges import at_least

__all__ = ["Posting"]

_AGAIN = frozenset({408, 425, 429})
"""Statuses below 500 after which the same request may succeed (RFC 9110, RFC 8470, RFC 6585)."""
_LONGEST_STATED_S = 300.0


class Posting:
    """Sends JSON to an address, and pauses before each repetition.

    A repetition follows upon no answer, and upon the statuses 408, 425, 429 and 5xx. It bears the
    same ``Idempotency-Key``, because an answer may have been lost after the body was taken. The
    pause is what ``Retry-After`` states, 5 minutes at most, or else a random share of a delay that
    doubles from ``base_delay_s`` to ``max_delay_s`` (AWS Architecture Blog, "Exponential Backoff
    And Jitter", full jitter). Redirects are not followed: they would carry the headers elsewhere.

    Args:
        url: Where to, ``http`` or ``https``; its path may be a secret.
        headers: What goes with every request.
        max_attempts: Requests for one body, >= 1.
        base_delay_s: Seconds, >= 0.
        max_delay_s: Seconds, >= 0.
        chance: Draws the pauses; None for a source of its own.

    Attributes:
        host: What of the address may be shown.

    Raises:
        ValueError: If the address, a header or a number cannot be used.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        max_attempts: int,
        base_delay_s: float,
        max_delay_s: float,
        chance: Random | None = None,
    ) -> None:
        at_least("max_attempts", max_attempts, 1)
        at_least("base_delay_s", base_delay_s, 0)
        at_least("max_delay_s", max_delay_s, 0)
        address = _address(url)
        self._server, self._path = address.copy_with(raw_path=b"/"), address.raw_path
        self.host = f"{address.scheme}://{address.host}"
        self._headers = {"Content-Type": "application/json", **_checked(headers)}
        self._client = httpx.Client()
        self._max_attempts = max_attempts
        self._base_delay_s = base_delay_s
        self._max_delay_s = max_delay_s
        self._chance = chance or Random()

    def post(
        self, body: bytes, *, timeout_s: Callable[[], float], pause: Callable[[float], bool]
    ) -> str | None:
        """Send a body; return None if it was taken, else why not, without what was answered.

        Args:
            body: What is sent.
            timeout_s: Asked before each request: seconds that each of its steps may take, > 0.
            pause: Waits some seconds, >= 0; returns False if there is no time to wait, upon which
                there is only one request more.
        """
        headers = {**self._headers, "Idempotency-Key": str(uuid4())}
        left = self._max_attempts
        while True:
            left -= 1
            failed = self._failure(body, headers, timeout_s())
            if failed is None:
                return None
            if not left or not failed.may_pass:
                return failed.why
            delay_s = self._delay_s(self._max_attempts - left - 1)
            if not pause(delay_s if failed.stated_s is None else failed.stated_s):
                left = 1

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _failure(
        self, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> _Failure | None:
        """Send a body once, and read no more of the answer than its head."""
        request = self._client.build_request(
            "POST",
            self._server,
            content=body,
            headers=headers,
            timeout=timeout_s,
            # httpx logs the address of each request, and that of many webhooks is their secret.
            extensions={"target": self._path},
        )
        try:
            response = self._client.send(request, stream=True)
            response.close()
        except httpx.HTTPError as error:
            # Not the text of the error: it may quote what was sent.
            return _Failure(type(error).__name__)
        if response.is_success:
            return None
        status = response.status_code
        stated_s = retry_after_s(response.headers)
        return _Failure(
            f"status {status}",
            status >= 500 or status in _AGAIN,
            None if stated_s is None else min(stated_s, _LONGEST_STATED_S),
        )

    def _delay_s(self, number: int) -> float:
        doubled = self._base_delay_s * 2.0 ** min(number, 64)
        return self._chance.random() * min(self._max_delay_s, doubled)


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str
    may_pass: bool = True
    stated_s: float | None = None


def _checked(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and value.isprintable()):
            # Not the value: it may be a secret.
            raise ValueError(f"headers {name!r} must be ASCII text without line breaks")
    return headers


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host or address.userinfo:
        # Not the address: it may hold a secret.
        raise ValueError(
            "url must begin with http:// or https:// and a host, and have no user or password;"
            " those belong in headers"
        )
    return address
