"""The timeouts that LiteLLM is told, which are not the limits of the attempts."""

from __future__ import annotations

from math import ceil, inf, log2

__all__ = ["client_timeout_s"]

_SHORTEST_S = 2.0**-10


def client_timeout_s(limit_s: float) -> float:
    """Return the timeout of the client for an attempt that may take so long.

    LiteLLM keeps a client of its own, with its own connections, for each timeout. What is left of
    a deadline is never the same twice, so that each call would connect anew, and up to 200 clients
    would stay. The limit itself is held by the drivers, to the letter.

    Args:
        limit_s: Seconds, >= 0.

    Returns:
        The next power of two in seconds.
    """
    return inf if limit_s == inf else 2.0 ** ceil(log2(max(limit_s, _SHORTEST_S)))
