"""A chat model that is a whole pool: asks for a capability, and fails over by itself."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field, SecretStr, model_validator

from capability_router.engine.feature import features_of
from capability_router.router import CapabilityRouter
from langchain_capability_router.backends import OWN_NAME, Prompt
from langchain_capability_router.calls import ChatCall
from langchain_capability_router.configured import Configured, form_of
from langchain_capability_router.profiles import joint_profile
from langchain_capability_router.registration import named, registered, router_with
from langchain_capability_router.requests import take_request
from langchain_capability_router.standing import Memo, Standing
from langchain_capability_router.structured import Method, structured
from langchain_capability_router.switching import SwitchedChatModel
from langchain_capability_router.tools import Tool, neutral_tool

__all__ = ["ChatCapabilityRouter"]


class ChatCapabilityRouter(SwitchedChatModel):
    """A chat model that asks a pool of models, and another of them where one fails.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]"
        ```

        Models are called through LiteLLM, or through chat models of your own (``models``).

    ??? info "Key init args"

        router: The ``CapabilityRouter`` that knows the models and their health, or the path of its
            YAML file; by default the file that ``CAPABILITY_ROUTER_CONFIG`` names.
        capability: What is asked for: path, unique last segment or alias of a node.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        requires: Features that a model must have, beyond those read off each request.
        prefers: Ids of providers to ask first, best first.
        deadline: Seconds after which no attempt starts or goes on, > 0; None for the pool's own.
        models: Own chat models by model id, best with ``max_retries=0``.
        temperature, max_tokens, stop: Handed to whichever model is asked; None leaves each its own.
        timeout: Seconds to an answer, to the first token of a stream and between its chunks, > 0;
            None for the pool's own limits.
        streaming: True to ask for streams even in ``invoke``.
        max_retries, api_key: Of no effect: these are the pool's and the providers' business.

    ??? info "Instantiate"

        ```python
        from langchain_capability_router import ChatCapabilityRouter

        chat = ChatCapabilityRouter(router="router.yaml", capability="chat-completion")
        ```

        Or from the chat models that you have; what each can do is read off its ``profile``:

        ```python
        chat = ChatCapabilityRouter.from_models([ChatOpenAI(...), ChatAnthropic(...)])
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
        without a trace. After it, a model that takes a prefill goes on with the text, as the
        pool's ``on_interruption`` says; else ``ChatStreamInterruptedError`` carries it.

    ??? info "Async"

        ```python
        await chat.ainvoke("Say hello.")
        ```

    ??? info "Tool calling"

        ```python
        chat.bind_tools([get_weather]).invoke("How is the weather in Oslo?").tool_calls
        ```

        Only models that can call tools are asked; each gets the tools in its own format, and the
        answers of the others in one that it accepts.

    ??? info "Structured output"

        ```python
        chat.with_structured_output(Joke, method="json_schema").invoke("Tell me a joke.")
        ```

    ??? info "Image input"

        Pictures, sounds and documents in LangChain's, OpenAI's or Anthropic's blocks.

    ??? info "Per call"

        ``capability``, ``pool``, ``requires``, ``prefers``, ``session`` and ``deadline`` may be
        given to each call, or be bound, or stand in ``config={"configurable": {...}}``, from where
        they reach every call below. A session stays with one model where the pool's strategy is
        ``session-sticky``; in a graph its ``thread_id`` is the session. Besides, a call takes
        ``timeout``, and ``model``: the id of the only model to ask, or the name that its providers
        call it by; and ``side_effects=True`` if it must not be hedged, which tools that a provider
        runs itself say as well.

    ??? info "Token usage"

        ```python
        chat.invoke("Say hello.").usage_metadata
        ```

        The tokens of the model that served, counted once.

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

        ``model_name`` is the model that served. In a stream, the last chunk brings both. A trace
        has one run for each call, with the same in its metadata.

    Raises:
        UnknownCapabilityError: If the tree has no such node.
        UnknownPoolError: If there is no such pool.
        UnknownModelError: If ``models`` names a model that is not registered.
        ValueError: If there is no router, see above.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    router: Configured = Field(default_factory=CapabilityRouter.shared, repr=False, exclude=True)
    capability: str = "chat-completion"
    pool: str | None = None
    requires: frozenset[str] = frozenset()
    prefers: tuple[str, ...] = ()
    deadline: float | None = Field(default=None, gt=0)
    models: Mapping[str, BaseChatModel] = Field(default_factory=dict, repr=False)
    temperature: float | None = None
    max_tokens: int | None = Field(default=None, gt=0)
    stop: list[str] | None = None
    timeout: float | None = Field(default=None, gt=0)
    streaming: bool = False
    max_retries: int | None = None
    api_key: SecretStr | None = Field(default=None, repr=False, exclude=True)

    @classmethod
    def from_models(
        cls,
        models: Iterable[BaseChatModel] | Mapping[str, BaseChatModel],
        *,
        capability: str = "chat-completion",
        strategy: str | None = None,
        router: CapabilityRouter | None = None,
        **settings: Any,
    ) -> Self:
        """Make a pool of chat models; what each can do is read off its ``profile``.

        Args:
            models: Chat models, best with ``max_retries=0``, in the order of preference. Each gets
                the id ``provider/model``; the provider of a vendor's second account is
                ``vendor-2``. A mapping names them otherwise.
            capability: The leaf to register them at.
            strategy: Short name of who serves; None for ``priority``: the first that is well.
            router: Where to register them; None for a new router.
            settings: Further arguments of the class.

        Raises:
            TypeError: If one of them is no chat model.
            ValueError: If there are none, an id is taken, the capability is not a leaf, or there
                is no such strategy; nothing is registered then.
        """
        by_id, router = named(models), router_with(strategy, router)
        with registered(router, by_id, capability):
            return cls(router=router, capability=capability, models=by_id, **settings)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        """Refuse names that the router does not know, before the first request does."""
        self.api_key = None  # It opens nothing here, and must not be found later.
        self.router.tree.resolve(self.capability)
        if self.pool is not None:
            self.router.pool(self.pool)
        features_of(self.requires)
        for model_id in self.models:
            self.router.model(model_id)
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show where it asks, without the facts of its models."""
        yield "router", self.router
        yield from self._routing().items()
        yield from self._defaults().items()

    @property
    def _llm_type(self) -> str:
        return "capability-router"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What tells two of these apart, in traces and as the key of a cache."""
        return {
            "capability": self.capability,
            "pool": self.pool,
            "requires": sorted(self.requires),
            "prefers": self.prefers,
            "models": self._standing().fingerprint,
            **self._defaults(),
            "stop": self.stop,
        }

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the package, which is where ``load`` looks for the class."""
        return ["langchain_capability_router"]

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """Return what ``load`` makes an equal chat model of, see ``configured.form_of``."""
        return form_of(self, self.router) or self.to_json_not_implemented()

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        # Who serves is not known yet; the answer brings the name to the trace.
        asked = kwargs.get("model") or kwargs.get("capability") or self.capability
        params = super()._get_ls_params(stop=stop or self.stop, **{**kwargs, "model": asked})
        params["ls_provider"] = OWN_NAME
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return joint_profile(self._standing().candidates, self.models)

    # The return type is not only for readers: ``with_fallbacks`` forwards these two by it.
    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return a runnable that offers tools to whichever model is asked.

        Args:
            tools: Functions, pydantic classes, tools, or dicts in OpenAI's format. A tool that a
                provider runs itself is passed on as it is; models without it are passed over.
            tool_choice: Name of a tool, ``auto``, ``none``, or ``any`` for at least one call.
            strict: True if arguments must match the schema exactly; None leaves it to the model.
            kwargs: Further parameters of the call, such as ``parallel_tool_calls``.
        """
        if tools:
            kwargs["tools"] = [neutral_tool(tool, strict) for tool in tools]
            if tool_choice is not None and tool_choice is not False:
                kwargs["tool_choice"] = tool_choice
        return self.bind(**kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Method = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a runnable that answers with an object.

        Args:
            schema: Pydantic class, ``TypedDict``, or JSON schema with a title.
            method: ``function_calling``, which most models can, ``json_schema``, or ``json_mode``,
                which has to be told of the schema in the prompt. Models without it are not asked.
            include_raw: True for a dictionary of ``raw``, ``parsed`` and ``parsing_error``.
            strict: True if the answer must match the schema exactly; None leaves it to the model.
            kwargs: Further parameters of the call.

        Raises:
            ValueError: If there is no such method, or it cannot be strict.
        """
        return structured(
            self, schema, method=method, strict=strict, include_raw=include_raw, options=kwargs
        )

    def get_num_tokens(self, text: str) -> int:
        """Estimate tokens at four characters each; which model will count them is open."""
        if self.custom_get_token_ids is not None:
            return super().get_num_tokens(text)
        return math.ceil(len(text) / 4)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Estimate tokens at four characters each; which model will count them is open."""
        neutral: list[BaseTool | dict[str, Any]] = [neutral_tool(tool) for tool in tools or ()]
        return count_tokens_approximately(messages, tools=neutral)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._started(messages, stop, kwargs).generate()

    # Returned and not awaited here, as every layer is passed again whenever a request waits.
    def _agenerate(  # pyright: ignore[reportIncompatibleMethodOverride]  # a coroutine all the same
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, ChatResult]:
        return self._started(messages, stop, kwargs).agenerate()

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
        self, messages: list[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> ChatCall:
        options = {**self._defaults(), **given}
        settings = {**self._routing(), "requires": self.requires}
        request = take_request(self.router, settings, messages, options)
        prompt = Prompt(messages, self.stop if stop is None else stop, options)
        return ChatCall(self.router, request, prompt, self._standing())

    @cached_property
    def _memo(self) -> Memo:
        # Not a private attribute of pydantic's, which are slow to read.
        return Memo()

    def _standing(self) -> Standing:
        return self._memo.standing_of(self.router, (self.capability, self.pool), self.models)

    def _routing(self) -> dict[str, Any]:
        given = {
            "capability": self.capability,
            "pool": self.pool,
            "prefers": self.prefers,
            "deadline": self.deadline,
            "timeout": self.timeout,
        }
        return {name: value for name, value in given.items() if value}

    def _defaults(self) -> dict[str, Any]:
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}
