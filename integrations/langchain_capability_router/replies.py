"""One request that a model of a pool answers whole: for all that is no chat.

Knows neither what is asked nor how; who is asked, and who next, is the pool's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from capability_router.driving import drivers
from capability_router.engine.errors import IncompleteAnswerError
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Try
from capability_router.router import CapabilityRouter
from langchain_capability_router.errors import as_model_errors, failure_of

__all__ = ["Reply", "UnreadableReplyError", "afirst_reply", "first_reply"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What one model answered.

    Attributes:
        value: The answer, checked and read.
        usage: The tokens it took; none where the provider does not tell.
    """

    value: T
    usage: Usage = field(default_factory=Usage)


class UnreadableReplyError(IncompleteAnswerError):
    """A provider answered, but not with what its API promises; another model may do better.

    Args:
        what: What is wrong with the answer, without any content of it.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return self.what


class _ReplyJudge(Generic[T]):
    def failure(self, error: Exception) -> Failure:
        return failure_of(error)

    def usage(self, answer: Reply[T], step: Try) -> Usage:
        del step
        return answer.usage


def first_reply(
    router: CapabilityRouter, request: CompletionRequest, attempt: Callable[[Try], Reply[T]]
) -> T:
    """Ask one model after another until one answers.

    Args:
        router: Chooses the models.
        request: What is asked for.
        attempt: Asks the model of one step, and reads its answer.

    Raises:
        AllModelsFailedError: If nothing answered; a ``ModelError`` of LangChain as well.
        NoAvailableModelError: If there was nothing to try; a ``ModelError`` as well.
        Exception: The provider's own error, where the caller is at fault.
    """
    with as_model_errors():
        return drivers.call(router.plan(request), attempt, _ReplyJudge[T](), router.clock).value


async def afirst_reply(
    router: CapabilityRouter,
    request: CompletionRequest,
    attempt: Callable[[Try], Awaitable[Reply[T]]],
) -> T:
    """Ask one model after another until one answers; as ``first_reply``, awaiting each."""
    with as_model_errors():
        plan = router.plan(request)
        return (await drivers.acall(plan, attempt, _ReplyJudge[T](), router.clock)).value
