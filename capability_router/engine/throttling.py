"""Which share of requests passes over a model whose provider turns many away.

Knows counts and moments, no model and no request: who is asked instead is for ``rationing``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

__all__ = ["Acceptance", "Throttling"]

_SPANS = 12
_SPAN_S = 10.0


@dataclass(frozen=True, slots=True)
class Throttling:
    """Let a share of requests pass a model over while its provider turns many away.

    Client-side throttling (Google's "Site Reliability Engineering", chapter 21, "Handling
    Overload"): of the last two minutes' requests, those that were passed over included, the share
    ``max(0, (requests - k * accepts) / (requests + 1))`` is passed over. So the provider is sent
    about ``k`` times what it accepts, however much there is: enough to see that it recovers.

    A request counts when its attempt has ended, not when it is sent as in the book: an answer
    takes seconds to minutes, and one that is still on its way must not look like a refusal.

    Attributes:
        k: How many times what is accepted is sent, >= 1. Default 2, the book's. Nearer to 1 fewer
            requests are turned away, and it takes longer to see that a provider has recovered.

    Raises:
        ValueError: If ``k`` is out of range.
    """

    k: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.k < inf:
            raise ValueError(f"k {self.k} must be at least 1 and finite")

    def share(self, acceptance: Acceptance, now: float) -> float:
        """Return the share of requests that passes a model over, from 0 to below 1.

        Args:
            acceptance: What the provider has made of the model's requests.
            now: Monotonic seconds.
        """
        requests, accepts = acceptance.counts(now)
        return max(0.0, (requests - self.k * accepts) / (requests + 1))


class Acceptance:
    """What became of a model's requests in the last two minutes; used under the router's guard.

    It counts in spans of ten seconds: what was counted is forgotten up to ten seconds late.
    """

    __slots__ = ("_accepts", "_requests", "_spans")

    def __init__(self) -> None:
        self._requests = self._accepts = 0
        # Number of each span, with its requests and how many of them were accepted.
        self._spans: deque[list[int]] = deque()

    def note(self, now: float, *, accepted: bool) -> None:
        """Count a request: an answer, or one that was turned away or passed over."""
        span = int(now / _SPAN_S)
        if not self._spans or self._spans[-1][0] != span:
            self._forget(now)
            self._spans.append([span, 0, 0])
        self._spans[-1][1] += 1
        self._spans[-1][2] += accepted
        self._requests += 1
        self._accepts += accepted

    def counts(self, now: float) -> tuple[int, int]:
        """Return the requests of the last two minutes, and how many of them were accepted."""
        self._forget(now)
        return self._requests, self._accepts

    def _forget(self, now: float) -> None:
        first = int(now / _SPAN_S) - _SPANS
        while self._spans and self._spans[0][0] < first:
            _, requests, accepts = self._spans.popleft()
            self._requests -= requests
            self._accepts -= accepts
