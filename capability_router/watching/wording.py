"""What happened, in words: one wording for the page and for the terminal.

Words of identifiers, such as reasons, stay what they are; only their underscores become spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["GLYPHS", "STATES", "ago", "event_words", "from_now", "plain", "why_words"]

GLYPHS: Mapping[str, str] = MappingProxyType(
    {"good": "●", "bad": "○", "trial": "◐", "failed": "✕", "plain": "·"}
)
"""A sign for each tone, so that none is told by its colour alone."""

STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"active": ("good", "active"), "standby": ("bad", "standby"), "on_trial": ("trial", "on trial")}
)
"""Tone and word of each state of a model."""

_EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "model_activated": ("good", "is active again"),
        "model_deactivated": ("bad", "is on standby"),
        "model_rotated": ("plain", "serves next"),
        "model_spared": ("trial", "is spared and serves last"),
        "probe_started": ("trial", "is on trial"),
        "probe_failed": ("failed", "failed its trial"),
        "probe_returned": ("bad", "ended its trial without a result"),
        "standby_extended": ("bad", "stays on standby for longer"),
        "standby_restored": ("bad", "stays on standby for less long"),
        "pool_closed": ("bad", "is closed"),
        "pool_opened": ("good", "is open again"),
        "models_updated": ("plain", "the set of models has changed"),
        "models_discovered": ("plain", "providers were asked what they serve"),
        "state_store_lost": ("bad", "shared state cannot be reached"),
        "state_store_returned": ("good", "shared state can be reached again"),
        "state_damaged": ("bad", "some of the shared state could not be read"),
        "configuration_differs": ("bad", "another process reads another configuration"),
        "provider_deactivated": ("bad", "is on standby, the whole provider"),
        "provider_recovered": ("good", "is back, the whole provider"),
        "provider_health_changed": ("plain", "has changed in health"),
        "panic": ("trial", "is tried before its time"),
        "degraded": ("trial", "stands in for a related capability"),
        "budget_exhausted": ("bad", "has no repetitions left"),
    }
)

_WHYS: Mapping[str, str] = MappingProxyType(
    {
        "strategy": "the strategy {strategy} puts it first",
        "trial": "its time on standby is over, and this request is its trial",
        "again": "it is asked once more",
        "hedge": "another one takes long, and it runs beside it",
        "degraded": "no pool of the capability has a model, and {node} stands in",
        "panic": "nobody is left, so it is tried before its time",
        "nobody": "nobody could be chosen",
    }
)


def why_words(why: str, strategy: str, node: str) -> str:
    """Return how a model came to be chosen; a reason that is not known tells itself.

    Args:
        why: One of ``Why``.
        strategy: Name of the pool's strategy.
        node: Full path of the node that was served.
    """
    known = _WHYS.get(why)
    return plain(why) if known is None else known.format(strategy=strategy, node=node)


def event_words(kind: str, reason: str) -> tuple[str, str]:
    """Return the tone and the words of an event; a kind that is not known tells itself."""
    if kind == "pool_membership_changed":
        return "plain", "left the pool" if reason == "removed" else "joined the pool"
    return _EVENTS.get(kind, ("plain", plain(kind)))


def plain(identifier: str) -> str:
    """Return an identifier as words: ``rate_limited`` as ``rate limited``."""
    return identifier.replace("_", " ")


def ago(seconds: float) -> str:
    """Return how long ago something was, for people: ``12 s ago``."""
    return "now" if seconds < 1 else f"{_rounded(seconds)} ago"


def from_now(seconds: float) -> str:
    """Return when something is to be, for people: ``in 12 s``, or ``due``."""
    return "due" if seconds < 1 else f"in {_rounded(seconds)}"


def _rounded(seconds: float) -> str:
    for unit, size, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 86_400:.0f} d"
