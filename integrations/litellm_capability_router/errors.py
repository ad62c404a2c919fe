"""This project's errors in the form that LiteLLM's callers catch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from math import ceil

from litellm.exceptions import APIConnectionError, BadRequestError, ServiceUnavailableError

from capability_router import (
    AllModelsFailedError,
    FailureKind,
    NoAvailableModelError,
    StreamInterruptedError,
    UnknownCapabilityError,
    UnknownPoolError,
)
from capability_router.engine.untrusted import shown

__all__ = ["CapabilityStreamError", "CapabilityUnavailableError", "as_litellm_errors"]


class CapabilityUnavailableError(AllModelsFailedError, ServiceUnavailableError):
    """No model answered; a ``litellm.ServiceUnavailableError`` (503) with every attempt."""

    def __init__(self, cause: NoAvailableModelError) -> None:
        ServiceUnavailableError.__init__(  # pyright: ignore[reportUnknownMemberType] - LiteLLM leaves its parameters untyped
            self, message=str(cause), llm_provider="capability", model=cause.capability
        )
        self.capability = cause.capability
        self.reasons = cause.reasons
        self.retry_after_s = cause.retry_after_s
        self.attempts = cause.attempts
        self.why = (
            cause.why if isinstance(cause, AllModelsFailedError) else "nothing could be tried"
        )
        self._text = str(cause)
        # LiteLLM's proxy hands these to its client.
        self.headers = _retry_after(cause.retry_after_s)

    def __str__(self) -> str:
        return self._text


class CapabilityStreamError(StreamInterruptedError, APIConnectionError):
    """A stream broke after a part was handed out; a ``litellm.APIConnectionError``."""

    def __init__(self, cause: StreamInterruptedError) -> None:
        APIConnectionError.__init__(  # pyright: ignore[reportUnknownMemberType] - LiteLLM leaves its parameters untyped
            self, message=str(cause), llm_provider="capability", model=cause.attempts[-1].model
        )
        self.partial_text = cause.partial_text
        self.attempts = cause.attempts
        self._text = str(cause)

    def __str__(self) -> str:
        return self._text


def _retry_after(seconds: float | None) -> dict[str, str]:
    """Return the header, in whole seconds: before the last of them is over nobody is back."""
    return {} if seconds is None else {"retry-after": str(ceil(seconds))}


def _is_too_much_to_ask(error: NoAvailableModelError) -> bool:
    """Whether trying again would not help, because no model has what is asked for."""
    kinds = {attempt.kind for attempt in error.attempts}
    return kinds == {FailureKind.UNSUPPORTED} and error.retry_after_s is None


@contextmanager
def as_litellm_errors() -> Generator[None]:
    """Raise this project's errors as LiteLLM's, with the provider's own as their cause."""
    try:
        yield
    except NoAvailableModelError as error:
        if _is_too_much_to_ask(error):
            told = f"{error}: {shown(str(error.__cause__))}"
            raise BadRequestError(
                told, model=error.capability, llm_provider="capability"
            ) from error.__cause__
        raise CapabilityUnavailableError(error) from error.__cause__
    except StreamInterruptedError as error:
        raise CapabilityStreamError(error) from error.__cause__
    except (UnknownCapabilityError, UnknownPoolError) as error:
        raise BadRequestError(str(error), model=error.name, llm_provider="capability") from error
