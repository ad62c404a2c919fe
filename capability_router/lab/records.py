"""What a provider was asked, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from capability_router.lab.faults import Fault
from capability_router.lab.json_values import as_mapping, parsed
from capability_router.lab.multipart import described, flag_text, is_form, read_form
from capability_router.lab.wire import HttpRequest

__all__ = [
    "Ending",
    "LabRequest",
    "RequestLog",
    "plain_values",
]

Ending = Literal["answered", "cut", "client left"]

_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}
)


@dataclass(frozen=True, slots=True)
class LabRequest:
    """One request a provider received.

    Attributes:
        method: In capitals.
        path: Without the query.
        body: The JSON object sent; of a form its fields as texts, and of each file its
            ``filename``, ``content_type`` and ``size`` in bytes, with a list where a field came
            more than once or its name ends in ``[]``, which falls away. None where the body was
            neither.
        headers: Names in lower case; the values of headers that carry secrets are replaced.
        fault: How the request was met.
        stream: Whether the body asked for a stream.
        at: When it was received, in monotonic seconds of the lab's clock.
        ended: ``answered`` once the answer, also one that is an error, was written to its end;
            ``cut`` where the provider broke it off, by a fault or because it was stopped;
            ``client left`` where the client did. None for as long as it is under way, and for good
            if the provider was reset meanwhile.
    """

    method: str
    path: str
    body: Mapping[str, object] | None
    headers: Mapping[str, str]
    fault: Fault
    stream: bool
    at: float
    ended: Ending | None = None


class RequestLog:
    """The requests of one provider, in order; safe in threads.

    Args:
        name: The provider's name, for errors.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._changed = threading.Condition()
        self._requests: list[LabRequest] = []
        self._under_way = 0

    def __len__(self) -> int:
        """Count the requests since the last :meth:`clear`."""
        with self._changed:
            return len(self._requests)

    @property
    def requests(self) -> tuple[LabRequest, ...]:
        """Every request since the last :meth:`clear`."""
        with self._changed:
            return tuple(self._requests)

    def begin(
        self, request: HttpRequest, body: Mapping[str, object] | None, fault: Fault
    ) -> tuple[int, LabRequest]:
        """Note a request that was received; it is under way from now on.

        Returns:
            Its number, 1 for the first, and what was noted.
        """
        noted = _record(request, body, fault, self._clock())
        with self._changed:
            self._requests.append(noted)
            self._under_way += 1
            self._changed.notify_all()
            return len(self._requests), noted

    def end(self, number: int, noted: LabRequest, ended: Ending) -> None:
        """Note how a request ended, unless it was cleared away meanwhile."""
        with self._changed:
            place = slice(number - 1, number)
            # After a clearing another request may have the number.
            if [each is noted for each in self._requests[place]] == [True]:
                self._requests[place] = [replace(noted, ended=ended)]
            self._under_way -= 1
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget the requests; those under way stay so."""
        with self._changed:
            self._requests.clear()

    def wait_for(self, count: int, timeout: float) -> None:
        """Wait until so many requests were received.

        Raises:
            TimeoutError: If they do not come in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, timeout):
                found = len(self._requests)
                raise TimeoutError(f"{self._name!r} received {found} of {count} requests")

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until no request is under way.

        Raises:
            TimeoutError: If one still is by then.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._under_way, timeout):
                count = self._under_way
                raise TimeoutError(f"{self._name!r} still has {count} requests under way")


def plain_values(request: HttpRequest) -> Mapping[str, object] | None:
    """Read the JSON object or the form of a request, None where its body is neither."""
    try:
        if is_form(request.headers):
            return described(read_form(request.headers["content-type"], request.body))
        return as_mapping(parsed(request.body))
    except ValueError:
        # Not swallowed: the endpoint answers a body it cannot read with a 400.
        return None


def _record(
    request: HttpRequest, body: Mapping[str, object] | None, fault: Fault, at: float
) -> LabRequest:
    headers = {
        name: "[redacted]" if name in _SECRET_HEADERS else value
        for name, value in request.headers.items()
    }
    stream = body is not None and flag_text(body.get("stream")) is True
    return LabRequest(request.method, request.path, body, headers, fault, stream, at)
