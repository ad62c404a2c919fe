"""Messages, tools and answers between LangChain and LiteLLM, which speaks OpenAI's format.

Knows no model and sends nothing. LiteLLM's objects leave out attributes that are empty, which is
why they are read by name with a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from capability_router.engine.errors import IncompleteAnswerError

__all__ = ["chunk_of", "openai_messages", "openai_tool_choice", "result_of"]

# LiteLLM answers in OpenAI's format whoever the vendor is: with the vendor's name here, LangChain
# would look for that vendor's own content blocks.
_PROVIDER = {"model_provider": "litellm"}


def openai_messages(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Return a conversation in OpenAI's format.

    Answers go out as text and tool calls alone: what one vendor put around them, such as its
    signed reasoning, is refused by the next.
    """
    plain = [_plain(message) if isinstance(message, AIMessage) else message for message in messages]
    return convert_to_openai_messages(plain)


def openai_tool_choice(choice: object) -> object:
    """Return a tool choice in OpenAI's format: ``any`` and ``True`` mean ``required``."""
    if choice is True or choice == "any":
        return "required"
    if not isinstance(choice, str) or choice in {"auto", "none", "required"}:
        return choice
    return {"type": "function", "function": {"name": choice}}


def result_of(response: Any) -> ChatResult:
    """Read a complete answer.

    Raises:
        IncompleteAnswerError: If it holds no message.
    """
    choices = getattr(response, "choices", None)
    if not choices:
        raise IncompleteAnswerError
    usage = _usage(getattr(response, "usage", None))
    metadata = {**_PROVIDER, **_told(response, "id", "system_fingerprint")}
    return ChatResult(
        generations=[
            ChatGeneration(
                message=_message(choice.message, usage, metadata),
                generation_info={"finish_reason": choice.finish_reason},
            )
            for choice in choices
        ]
    )


def chunk_of(chunk: Any) -> ChatGenerationChunk:
    """Read one chunk of a stream; the usage chunk, which has no text, included."""
    choices = getattr(chunk, "choices", None)
    choice = choices[0] if choices else None
    delta = getattr(choice, "delta", None)
    finish_reason = getattr(choice, "finish_reason", None)
    message = AIMessageChunk(
        content=getattr(delta, "content", None) or "",
        additional_kwargs=_told(delta, "reasoning_content"),
        response_metadata=dict(_PROVIDER),
        tool_call_chunks=[_call_chunk(raw) for raw in getattr(delta, "tool_calls", None) or ()],
        usage_metadata=_usage(getattr(chunk, "usage", None)),
    )
    info = {"finish_reason": finish_reason} if finish_reason else None
    return ChatGenerationChunk(message=message, generation_info=info)


def _plain(message: AIMessage) -> AIMessage:
    return AIMessage(content=str(message.text), tool_calls=message.tool_calls, name=message.name)


def _message(raw: Any, usage: UsageMetadata | None, metadata: dict[str, Any]) -> AIMessage:
    calls, invalid = _calls(getattr(raw, "tool_calls", None) or ())
    return AIMessage(
        content=getattr(raw, "content", None) or "",
        additional_kwargs=_told(raw, "reasoning_content", "refusal"),
        response_metadata=dict(metadata),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        usage_metadata=usage,
    )


def _calls(raw_calls: Sequence[Any]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for raw in raw_calls:
        function = {"name": raw.function.name, "arguments": raw.function.arguments}
        told = {"id": raw.id, "type": "function", "function": function}
        try:
            parsed = parse_tool_call(told, return_id=True)
        except OutputParserException as error:
            invalid.append(make_invalid_tool_call(told, str(error)))
        else:
            if parsed is not None:
                calls.append(ToolCall(name=parsed["name"], args=parsed["args"], id=parsed["id"]))
    return calls, invalid


def _call_chunk(raw: Any) -> ToolCallChunk:
    return tool_call_chunk(
        name=raw.function.name, args=raw.function.arguments, id=raw.id, index=raw.index
    )


def _usage(raw: Any) -> UsageMetadata | None:
    """Return the tokens that the provider counted; None if it did not."""
    given = getattr(raw, "prompt_tokens", None), getattr(raw, "completion_tokens", None)
    if given == (None, None):
        return None
    taken, made = given[0] or 0, given[1] or 0
    usage = UsageMetadata(input_tokens=taken, output_tokens=made, total_tokens=taken + made)
    read = _detail(raw, "prompt_tokens_details", "cached_tokens")
    if read:
        usage["input_token_details"] = InputTokenDetails(cache_read=read)
    thought = _detail(raw, "completion_tokens_details", "reasoning_tokens")
    if thought:
        usage["output_token_details"] = OutputTokenDetails(reasoning=thought)
    return usage


def _detail(raw: Any, group: str, name: str) -> int:
    return getattr(getattr(raw, group, None), name, None) or 0


def _told(raw: Any, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(raw, name, None))}
