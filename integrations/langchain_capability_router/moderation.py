"""A moderator that is a whole pool: judges texts and pictures, fails over, and fails closed."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol, Self, cast

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnableSerializable
from pydantic import ConfigDict, Field, ValidationError, model_validator

from capability_router.engine.errors import CapabilityRouterError
from capability_router.engine.feature import Feature
from capability_router.engine.request import CompletionRequest
from capability_router.engine.steps import Try
from capability_router.router import CapabilityRouter
from langchain_capability_router.configured import Configured
from langchain_capability_router.errors import UnsupportedByModelError
from langchain_capability_router.judgements import (
    Moderation,
    ModerationInput,
    Subject,
    moderation_of,
    subject_of,
)
from langchain_capability_router.replies import (
    Reply,
    UnreadableReplyError,
    afirst_reply,
    first_reply,
)
from litellm_capability_router.deployments import completion_params
from litellm_capability_router.host import aload_litellm, load_litellm

__all__ = ["CapabilityModerator", "FlaggedError", "Moderation", "ModerationInput"]


class FlaggedError(CapabilityRouterError):
    """An input was flagged, so it was not passed on.

    Attributes:
        moderation: What the model thinks of it.
    """

    def __init__(self, moderation: Moderation) -> None:
        super().__init__(moderation)
        self.moderation = moderation

    def __str__(self) -> str:
        found = ", ".join(self.moderation.categories) or "no named category"
        return f"the input was flagged by {self.moderation.model}: {found[:200]}"


class _Clients(Protocol):
    def _get_openai_client(
        self, *, is_async: bool, api_key: str | None, api_base: str | None, max_retries: int
    ) -> Any: ...


class _Main(Protocol):
    openai_chat_completions: _Clients


class _Moderating(Protocol):
    """What is called of the module ``litellm``."""

    main: _Main

    def moderation(self, **request: Any) -> Any: ...

    async def amoderation(self, **request: Any) -> Any: ...


class CapabilityModerator(RunnableSerializable[ModerationInput, Moderation]):
    """A moderator that asks a pool of models, and another of them where one fails.

    It fails closed: where no model judges, it raises. Nothing is called clean because a provider
    failed, answered something unreadable, or judged only a part.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]"
        ```

        Models are called through LiteLLM, which speaks OpenAI's moderation API and no other: the
        provider is ``openai``, or a server with a ``base_url`` and the same API.

    ??? info "Key init args"

        router: The ``CapabilityRouter`` that knows the models and their health, or the path of its
            YAML file; by default the file that ``CAPABILITY_ROUTER_CONFIG`` names.
        capability: What is asked for: path, unique last segment or alias of a node.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        deadline: Seconds after which no further attempt starts, > 0; None for the pool's own.
        timeout: Seconds one attempt may take at most, > 0; None for the pool's own limit.

    ??? info "Instantiate"

        ```python
        from capability_router import CapabilityRouter, Model
        from langchain_capability_router.moderation import CapabilityModerator

        router = CapabilityRouter()
        router.register(Model("openai/omni-moderation-latest", ("content-moderation",)))
        moderator = CapabilityModerator(router=router)
        ```

    ??? info "Invoke"

        ```python
        moderator.invoke("I will find you and hurt you.")
        ```

        ```python
        Moderation(
            flagged=True,
            categories=("harassment/threatening", "violence"),
            scores={"harassment": 0.3, ...},
            model="openai/omni-moderation-latest",
        )
        ```

        Every message that is given is judged, in one request: ``messages[-1]`` is the last one
        alone. Texts and pictures are judged; tool calls are not, and sounds, videos and files
        raise a ``ValueError``, since what is not judged must not look clean.

    ??? info "Async"

        ```python
        await moderator.ainvoke("Good day.")
        ```

    ??? info "Before a chat model"

        ```python
        chain = prompt | moderator.guard() | chat
        ```

        The guard passes its input on as it is, or raises ``FlaggedError``.

    ??? info "Errors"

        If no model judges, the ``AllModelsFailedError`` carries every attempt; it is a
        ``ModelError`` of LangChain, with ``is_retryable``. What a provider refuses as the caller's
        fault is raised as that provider's own error, and no other model is asked.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If there is no such pool.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    router: Configured = Field(default_factory=CapabilityRouter.shared, repr=False, exclude=True)
    capability: str = "content-moderation"
    pool: str | None = None
    deadline: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Refuse names that the router does not know, before the first request does."""
        self.router.tree.resolve(self.capability)
        if self.pool is not None:
            self.router.pool(self.pool)
        return self

    def invoke(
        self,
        input: ModerationInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Moderation:
        """Return the judgement of the first model that gives one; see the class.

        Raises:
            ValueError: If there is nothing to judge, or something that cannot be judged.
        """
        return self._call_with_config(self._judge, input, config, **kwargs)

    async def ainvoke(
        self,
        input: ModerationInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Moderation:
        """Return the judgement of the first model that gives one; see the class.

        Raises:
            ValueError: If there is nothing to judge, or something that cannot be judged.
        """
        return await self._acall_with_config(self._ajudge, input, config, **kwargs)

    def guard(self) -> Runnable[ModerationInput, Any]:
        """Return a step of a chain that passes on what is not flagged.

        Its output is its input. It raises ``FlaggedError`` for what is flagged, and what
        ``invoke`` raises.
        """
        return RunnableLambda(self._pass, afunc=self._apass, name="moderation")

    def _pass(self, given: ModerationInput, config: RunnableConfig) -> ModerationInput:
        return _unless_flagged(given, self.invoke(given, config))

    async def _apass(self, given: ModerationInput, config: RunnableConfig) -> ModerationInput:
        return _unless_flagged(given, await self.ainvoke(given, config))

    def _judge(self, given: ModerationInput) -> Moderation:
        subject = subject_of(given)
        # Importing it takes seconds, which are neither a model's latency nor the deadline's.
        litellm = cast("_Moderating", load_litellm())

        def ask(step: Try) -> Reply[Moderation]:
            asked = self._asked(litellm, step, subject, is_async=False)
            with _unreadable_as_such():
                answer = litellm.moderation(**asked)
            return Reply(moderation_of(answer, subject.results, step.model.id))

        return first_reply(self.router, self._request(subject), ask)

    async def _ajudge(self, given: ModerationInput) -> Moderation:
        subject = subject_of(given)
        litellm = cast("_Moderating", await aload_litellm())

        async def ask(step: Try) -> Reply[Moderation]:
            asked = self._asked(litellm, step, subject, is_async=True)
            with _unreadable_as_such():
                answer = await litellm.amoderation(**asked)
            return Reply(moderation_of(answer, subject.results, step.model.id))

        return await afirst_reply(self.router, self._request(subject), ask)

    def _request(self, subject: Subject) -> CompletionRequest:
        return CompletionRequest(
            self.capability,
            requires=frozenset({Feature.VISION}) if subject.has_pictures else frozenset(),
            pool=self.pool,
            deadline_s=self.deadline,
            timeout_s=self.timeout,
        )

    def _asked(
        self, litellm: _Moderating, step: Try, subject: Subject, *, is_async: bool
    ) -> dict[str, Any]:
        provider = self.router.provider(step.model.provider)
        if provider.vendor != "openai":
            raise UnsupportedByModelError(
                f"{step.model.id}: moderation speaks OpenAI's API, not that of {provider.vendor};"
                f" give the provider {provider.id!r} the vendor 'openai' if its API is the same"
            )
        params = completion_params(provider, step.model)
        # Left to itself, LiteLLM takes a client that repeats failures and never gives up. Under a
        # public name this one can be had in newer versions only.
        client = litellm.main.openai_chat_completions._get_openai_client(  # pyright: ignore[reportPrivateUsage]  # see above
            is_async=is_async,
            api_key=params.get("api_key"),
            api_base=params.get("api_base"),
            max_retries=0,
        )
        return {
            # Without the vendor before it: in sync calls LiteLLM would send that to the provider.
            "model": step.model.name,
            "custom_llm_provider": provider.vendor,
            "input": subject.input,
            "client": client.with_options(timeout=step.timeout_s),
            "num_retries": 0,
        }


@contextmanager
def _unreadable_as_such() -> Generator[None, None, None]:
    """LiteLLM trips over an answer that is no moderation, as if the caller were at fault."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise UnreadableReplyError("the provider answered, but with no moderation") from error


def _unless_flagged(given: ModerationInput, moderation: Moderation) -> ModerationInput:
    if moderation.flagged:
        raise FlaggedError(moderation)
    return given
