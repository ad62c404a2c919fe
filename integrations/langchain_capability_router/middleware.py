"""Middleware for ``create_agent``: which capability each step of an agent asks for.

Needs ``langchain``, which the rest of this package does without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage

from langchain_capability_router.chat import ChatCapabilityRouter
from langchain_capability_router.requests import SWITCHES

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"langchain", "langgraph"}:
        raise
    raise ImportError(
        "the middleware is for agents of langchain, which is not installed:"
        " run: pip install langchain"
    ) from error

__all__ = ["CapabilityMiddleware", "Choice"]

Switches = Mapping[str, Any]
"""What one step is asked with: ``capability``, ``pool``, ``session`` and the like."""

Choice = str | Switches | Callable[[ModelRequest[Any]], str | Switches | None]
"""A capability, switches, or a function that returns one of them, or None for no switch."""

_SWITCHES = frozenset({*SWITCHES, "timeout"})

# With this tag, LangGraph leaves a call out of ``stream_mode="messages"``.
_NOT_STREAMED = "nostream"


class CapabilityMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Middleware that chooses, step by step, which models of a router an agent asks.

    ???+ info "Setup"

        ```bash
        pip install "capability-router[langchain,litellm]" langchain
        ```

    ??? info "Key init args"

        choose: The choice for every step. A text is a capability; a mapping may have
            ``capability``, ``pool``, ``session``, ``requires``, ``prefers``, ``deadline`` and
            ``timeout``, as a call of ``ChatCapabilityRouter``; a function gets the
            ``ModelRequest`` and returns either, or None to leave the step as it is.
        tools: The choice for the steps that call tools.
        answer: The choice for the final answer.

        Give either ``choose``, or ``tools`` and ``answer``; if one of these two is missing, the
        agent's model decides for it.

    ??? info "Instantiate"

        ```python
        from langchain.agents import create_agent
        from langchain_capability_router import ChatCapabilityRouter
        from langchain_capability_router.middleware import CapabilityMiddleware

        chat = ChatCapabilityRouter(router=router, capability="chat-completion")
        agent = create_agent(
            chat,
            [search],
            middleware=[CapabilityMiddleware(tools={"pool": "cheap"}, answer={"pool": "strong"})],
        )
        ```

    ??? info "Cheap models for the tools, a strong one for the answer"

        ``cheap`` and ``strong`` are pools of the agent's own capability here; where the models
        stand at different nodes, a choice names the capability. A pool that is named is never
        left: where all of it is down, the step fails. ``{"prefers": ["groq"]}`` asks a provider
        first, and lets the others stand in.

        Whether a step is the last is only known when it is over. So each step asks ``tools``; where
        that model calls no tool, its text is thrown away and ``answer`` is asked with the same
        messages and told to call none. That is one more call for each answer, and no word of the
        cheap model is ever the answer. An agent without tools asks ``answer`` alone.

        With a ``response_format``, ``answer`` alone is asked for the structured answer.

        In ``stream_mode="messages"`` the text that is thrown away is not streamed: steps that call
        tools come whole when they are over, the answer comes token by token. Callbacks, traces
        and ``astream_events`` do see each call; those of ``tools`` bear the tag ``nostream``.

    ??? info "A choice of your own"

        ```python
        def by_step(request):
            after_tools = isinstance(request.messages[-1], ToolMessage)
            return {"pool": "cheap" if after_tools else "strong"}


        CapabilityMiddleware(by_step)
        ```

        Before a step it is known whether tools have just answered, which tools there are, and how
        long the conversation is; not whether the model will call another tool.

    ??? info "Async"

        ```python
        await agent.ainvoke({"messages": [{"role": "user", "content": "How is the weather?"}]})
        ```

    Raises:
        TypeError: If a choice is neither of the three; for each step, if the agent's model is no
            ``ChatCapabilityRouter``.
        ValueError: If nothing is chosen, or too much, or a switch does not exist.
    """

    def __init__(
        self,
        choose: Choice | None = None,
        *,
        tools: Choice | None = None,
        answer: Choice | None = None,
    ) -> None:
        super().__init__()
        split = tools is not None or answer is not None
        if split == (choose is not None):
            raise ValueError("give CapabilityMiddleware either choose, or tools and answer")
        for choice in (choose, tools, answer):
            if not callable(choice):
                _switches(choice)
        self._choose = choose
        self._tools = tools
        self._answer = answer

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Run one step with the models that are chosen for it; see the class."""
        chat = _chat_of(request)
        if self._choose is not None:
            return handler(_chosen(request, self._choose))
        if request.tools:
            response = handler(_tool_step(_chosen(request, self._tools), chat))
            if _calls_tools(response):
                return response
        return handler(_answer_step(_chosen(request, self._answer)))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Run one step with the models that are chosen for it; see the class."""
        chat = _chat_of(request)
        if self._choose is not None:
            return await handler(_chosen(request, self._choose))
        if request.tools:
            response = await handler(_tool_step(_chosen(request, self._tools), chat))
            if _calls_tools(response):
                return response
        return await handler(_answer_step(_chosen(request, self._answer)))


def _chat_of(request: ModelRequest[Any]) -> ChatCapabilityRouter:
    chat = request.model
    if not isinstance(chat, ChatCapabilityRouter):
        raise TypeError(
            "CapabilityMiddleware needs a ChatCapabilityRouter as the agent's model, found"
            f" {type(chat).__name__}: pass one to create_agent, without bind"
        )
    return chat


def _chosen(request: ModelRequest[Any], choice: Choice | None) -> ModelRequest[Any]:
    switches = _switches(choice(request) if callable(choice) else choice)
    return request.override(model_settings={**request.model_settings, **switches})


def _switches(choice: object) -> Switches:
    if choice is None:
        return {}
    if isinstance(choice, str):
        return {"capability": choice}
    if not isinstance(choice, Mapping):
        raise TypeError(f"choose a capability or a mapping of switches, found {choice!r}")
    switches = cast("Switches", choice)
    unknown = sorted(switches.keys() - _SWITCHES)
    if unknown:
        raise ValueError(f"no such switch: {unknown}; there are {', '.join(sorted(_SWITCHES))}")
    return switches


def _tool_step(request: ModelRequest[Any], chat: ChatCapabilityRouter) -> ModelRequest[Any]:
    # A copy with the tag: a binding with it would lose it again when the tools are bound.
    unheard = chat.model_copy(update={"tags": [*(chat.tags or ()), _NOT_STREAMED]})
    # With the format the model would have to answer, or be made to call the tool that stands for
    # the answer; both would be thrown away.
    return request.override(model=unheard, response_format=None)


def _answer_step(request: ModelRequest[Any]) -> ModelRequest[Any]:
    if request.response_format is not None:
        # What remains is the tool that stands for the answer, which the agent makes it call.
        return request.override(tools=[])
    # The tools stay: some providers refuse a conversation with tool calls that has none.
    return request.override(tool_choice="none") if request.tools else request


def _calls_tools(response: ModelResponse[Any]) -> bool:
    return any(isinstance(message, AIMessage) and message.tool_calls for message in response.result)
