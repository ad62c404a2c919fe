"""A chat model that is a whole pool: asks for a capability, and fails over by itself."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from capability_router.engine.request import CompletionRequest
from capability_router.requirements import requirements_of
from capability_router.router import CapabilityRouter
from langchain_capability_router.backends import LangChainBackend, Prompt
from langchain_capability_router.calls import ChatCall

__all__ = ["ChatCapabilityRouter"]

# What ``config["configurable"]`` may switch for one call.
_SWITCHES = ("capability", "pool", "session")


class ChatCapabilityRouter(BaseChatModel):
    """A chat model that asks a pool of models, and another of them where one fails.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]"
        ```

        Models are called through LiteLLM, or through a chat model of your own (``models``);
        whoever gives each model an own one needs no LiteLLM.

    ??? info "Key init args"

        router: The ``CapabilityRouter`` that knows the models and their health.
        capability: What is asked for: path, unique last segment or alias of a node.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        requires: Features that a model must have, beyond those read off each request.
        deadline: Seconds after which no further attempt starts, > 0; None for the pool's own.
        models: Own chat models by model id, best with ``max_retries=0``.
        temperature, max_tokens, stop: Handed to whichever model is asked; None leaves each its own.
        timeout: Seconds one attempt may take at most, > 0; None for the pool's own limit. An own
            chat model keeps to it in async calls only.
        streaming: True to ask for streams even in ``invoke``.
        max_retries, api_key: Taken because every chat model takes them, and of no effect: how often
            a call tries is the pool's retry policy, and credentials belong to the providers.

    ??? info "Instantiate"

        ```python
        from capability_router import CapabilityRouter, Model
        from langchain_capability_router import ChatCapabilityRouter

        router = CapabilityRouter()
        router.register(Model("openai/gpt-4o-mini", ("chat-completion",)))
        router.register(Model("groq/llama-3.3-70b-versatile", ("chat-completion",)))
        chat = ChatCapabilityRouter(router=router, capability="chat-completion")
        ```

    ??? info "Invoke"

        ```python
        chat.invoke("Say hello.")
        ```

        If no model answers, ``AllChatModelsFailedError`` carries every attempt; it is a
        ``ModelError`` of LangChain, with ``is_retryable``. What a provider refuses as the caller's
        fault is raised as that provider's own error, and no other model is asked.

    ??? info "Stream"

        ```python
        for chunk in chat.stream("Say hello."):
            print(chunk.text, end="")
        ```

        Up to the first chunk with text, a tool call or reasoning, a failing model is replaced
        without a trace; after it, ``ChatStreamInterruptedError`` carries the text so far.

    ??? info "Async"

        ```python
        await chat.ainvoke("Say hello.")
        ```

    ??? info "Tool calling"

        ```python
        chat.bind_tools([get_weather]).invoke("How is the weather in Oslo?").tool_calls
        ```

        Only models that can call tools are asked; each gets the tools in its own format.

    ??? info "Structured output"

        ```python
        chat.with_structured_output(Joke).invoke("Tell me a joke.")
        ```

    ??? info "Per call"

        ``capability``, ``pool``, ``session``, ``requires``, ``deadline`` and ``timeout`` may be
        given to each call, or be bound; ``model`` means the same as ``capability``. Where they are
        not, ``config={"configurable": {"capability": ..., "pool": ..., "session": ...}}`` switches
        the first three. A session stays with one model where the pool's strategy is
        ``session-sticky``; in a graph its ``thread_id`` is the session.

    ??? info "Response metadata"

        ```python
        chat.invoke("Say hello.").response_metadata["capability_router"]
        ```

        ```python
        {
            "capability": "chat-completion",
            "served_by": "groq/llama-3.3-70b-versatile",
            "attempts": [
                {"model": "openai/gpt-4o-mini", "kind": "rate_limited", "status": 429, ...},
                {"model": "groq/llama-3.3-70b-versatile", "kind": None, "status": None, ...},
            ],
        }
        ```

        ``model_name`` is the model that served. In a stream, the last chunk brings both.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If there is no such pool.
        UnknownModelError: If ``models`` names a model that is not registered.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    router: CapabilityRouter = Field(repr=False, exclude=True)
    capability: str
    pool: str | None = None
    requires: frozenset[str] = frozenset()
    deadline: float | None = Field(default=None, gt=0)
    models: Mapping[str, BaseChatModel] = Field(default_factory=dict, repr=False, exclude=True)
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    stop: list[str] | None = None
    timeout: float | None = Field(default=None, gt=0)
    streaming: bool = False
    max_retries: int | None = None
    api_key: SecretStr | None = Field(default=None, repr=False, exclude=True)

    _own: dict[str, LangChainBackend] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Refuse names that the router does not know, before the first request does."""
        self.router.tree.resolve(self.capability)
        if self.pool is not None:
            self.router.pool(self.pool)
        self._own = {
            self.router.model(model_id).id: LangChainBackend(inner)
            for model_id, inner in self.models.items()
        }
        return self

    @property
    def _llm_type(self) -> str:
        return "capability-router"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What tells two of these apart, in traces and as the key of a cache."""
        pool = self.router.pool(self.pool or self.capability)
        members = [*pool.get_active_models(), *pool.get_standby_models()]
        return {
            "capability": self.capability,
            "pool": self.pool,
            "requires": sorted(self.requires),
            "models": sorted(model.id for model in members),
            **self._defaults(),
            "stop": self.stop,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        params["ls_provider"] = "capability_router"
        params["ls_model_name"] = self._capability_of(kwargs)
        return params

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return the answer of the first model that gives one; see the class."""
        return super().invoke(input, config, stop=stop, **_switched(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return the answer of the first model that gives one; see the class."""
        return await super().ainvoke(input, config, stop=stop, **_switched(config, kwargs))

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Yield the answer of the first model that begins one; see the class."""
        return super().stream(input, config, stop=stop, **_switched(config, kwargs))

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Yield the answer of the first model that begins one; see the class."""
        return super().astream(input, config, stop=stop, **_switched(config, kwargs))

    # The return type is not only for readers: ``with_fallbacks`` forwards this method by it.
    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return a runnable that offers tools to whichever model is asked.

        Args:
            tools: Functions, pydantic classes, tools, or dicts in OpenAI's format.
            tool_choice: Name of a tool, ``auto``, ``none``, or ``any`` for at least one call.
            strict: True if arguments must match the schema exactly; None leaves it to the model.
            kwargs: Further parameters of the call, such as ``parallel_tool_calls``.
        """
        if tool_choice is not None and tool_choice is not False:
            kwargs["tool_choice"] = tool_choice
        neutral = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        return self.bind(tools=neutral, **kwargs)

    def get_num_tokens(self, text: str) -> int:
        """Estimate tokens at four characters each; which model will count them is open."""
        return math.ceil(len(text) / 4)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Estimate tokens at four characters each; which model will count them is open."""
        neutral: list[BaseTool | dict[str, Any]] = [
            convert_to_openai_tool(tool) for tool in tools or ()
        ]
        return count_tokens_approximately(messages, tools=neutral)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._started(messages, stop, kwargs).generate()

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return await self._started(messages, stop, kwargs).agenerate()

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._started(messages, stop, kwargs).stream()

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._started(messages, stop, kwargs).astream()

    def _started(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        given: Mapping[str, Any],
    ) -> ChatCall:
        options = {**self._defaults(), **given}
        capability = self._capability_of(options)
        pool = options.pop("pool", self.pool)
        requires = self.requires | frozenset(options.pop("requires", None) or ())
        deadline_s = options.pop("deadline", self.deadline)
        timeout_s = options.pop("timeout", self.timeout)
        session = options.pop("session", None)
        for name in ("capability", "model", "stream"):
            options.pop(name, None)
        request = CompletionRequest(
            capability,
            requires=requires | _features(messages, options),
            input_tokens=_tokens(messages, options),
            output_tokens=options.get("max_tokens") or 0,
            pool=pool,
            deadline_s=deadline_s,
            timeout_s=timeout_s,
            session=None if session is None else str(session),
        )
        prompt = Prompt(messages, self.stop if stop is None else stop, options)
        return ChatCall(self.router, request, prompt, self._own)

    def _capability_of(self, options: Mapping[str, Any]) -> str:
        return options.get("capability") or options.get("model") or self.capability

    def _defaults(self) -> dict[str, Any]:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}


def _features(messages: list[BaseMessage], options: Mapping[str, Any]) -> frozenset[str]:
    """Return what a model must be able to do; LangChain's blocks have the types of OpenAI's.

    Streaming is not among it: what a model cannot stream comes as one chunk.
    """
    plain = [{"content": message.content} for message in messages]
    return requirements_of({**options, "messages": plain})


def _tokens(messages: list[BaseMessage], options: Mapping[str, Any]) -> int:
    """Estimate the tokens of the text; pictures, sounds and files are counted by no rule."""
    told = [
        message
        if isinstance(message.content, str)
        else message.model_copy(update={"content": str(message.text)})
        for message in messages
    ]
    return count_tokens_approximately(told, tools=options.get("tools"))


def _switched(config: RunnableConfig | None, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Add what the configuration switches, its surroundings' included; arguments win."""
    settings = ensure_config(config).get("configurable", {})
    if "thread_id" in settings:
        settings = {"session": settings["thread_id"], **settings}
    return {**{name: settings[name] for name in _SWITCHES if name in settings}, **kwargs}
