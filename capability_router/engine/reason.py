"""Why a model is on standby."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ERRORS", "Reason"]


class Reason(StrEnum):
    """Why a model is on standby; ``deactivate`` takes any other text as well."""

    ERROR_THRESHOLD = "error_threshold"
    """Too many counted failures, in a row or as a share of the last requests."""
    SLOW = "slow"
    """Its latency is an outlier against the other models of the pool."""
    PROVIDER_OUTAGE = "provider_outage"
    """So many models of its provider fail that the others are taken to fail as well."""
    RATE_LIMITED = "rate_limited"
    """The provider answered 429."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The account's quota is used up, as the provider or a configured quota says."""
    REQUEST_LIMIT = "request_limit"
    """A configured limit of requests is used up."""
    TOKEN_LIMIT = "token_limit"
    """A configured limit of tokens is used up."""
    BUDGET_EXCEEDED = "budget_exceeded"
    """A configured limit of US dollars is used up."""
    BILLING = "billing"
    """The account has to be paid for."""
    AUTH_FAILURE = "auth_failure"
    """The key is refused, or the model is not for this account."""
    NOT_FOUND = "not_found"
    """The provider does not have the model."""
    MAINTENANCE_WINDOW = "maintenance_window"
    """A planned window is open."""
    DEPRECATED = "deprecated"
    """The model's last day has passed."""
    DRAINED = "drained"
    """A person sent its whole provider away."""
    MANUAL = "manual"
    """A person sent it away, and only a person brings it back."""


ERRORS = frozenset({Reason.ERROR_THRESHOLD, Reason.SLOW, Reason.PROVIDER_OUTAGE})
"""Reasons that are our own conclusion: a pool loses only a part of its models to these, and tries
one that left for one of these early rather than fail."""
