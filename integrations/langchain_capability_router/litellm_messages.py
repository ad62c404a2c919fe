"""Messages, tools and answers between LangChain and LiteLLM, which speaks OpenAI's format.

Knows no model and sends nothing. LiteLLM's objects leave out attributes that are empty, which is
why they are read by name with a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    ToolCallChunk,
    convert_to_openai_messages,
    is_data_content_block,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.block_translators.openai import convert_to_openai_data_block
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from capability_router.engine.errors import IncompleteAnswerError
from langchain_capability_router.blocks import portable
from langchain_capability_router.histories import acceptable, spoken

__all__ = ["chunk_of", "openai_messages", "openai_tool_choice", "result_of", "sent_block"]

# LiteLLM answers in OpenAI's format whoever the vendor is: with the vendor's name here, LangChain
# would look for that vendor's own content blocks.
_MAKER = "litellm"
_PROVIDER = {"model_provider": _MAKER}

# LiteLLM's names of what is counted apart, and LangChain's.
_INPUT = {
    "audio_tokens": "audio",
    "cache_creation_tokens": "cache_creation",
    "cached_tokens": "cache_read",
}
_OUTPUT = {"audio_tokens": "audio", "reasoning_tokens": "reasoning"}

_THOUGHT = ("reasoning_content", "thinking_blocks")


def openai_messages(
    messages: Sequence[BaseMessage], *, vendor: str = "", model_id: str | None = None
) -> list[dict[str, Any]]:
    """Return a conversation in OpenAI's format, as LiteLLM takes it.

    Answers go out as text and tool calls: what one vendor put around them is refused by the next.
    Only Claude's signed thinking is kept, for the model that thought it; without it Claude refuses
    to go on from its own tool calls. Pictures, documents and media may be written in the formats of
    LangChain, OpenAI, Anthropic or Google. Anthropic's ``cache_control`` stays: LiteLLM puts it
    into each vendor's words, or drops it.

    Args:
        messages: The conversation; it is not changed.
        vendor: Whose API is spoken, as LiteLLM names it.
        model_id: Id of the model that is asked, see ``acceptable``.
    """
    taken = acceptable(messages, maker=_MAKER, model_id=model_id)
    if vendor == "openai":
        # LiteLLM drops cache marks for OpenAI itself, and sends them to whoever is compatible.
        taken = [portable(message, vendor) for message in taken]
    return [_sent(message) for message in taken]


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
                generation_info={"finish_reason": choice.finish_reason, **_logprobs(choice)},
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
        additional_kwargs=_told(delta, *_THOUGHT),
        response_metadata=dict(_PROVIDER),
        tool_call_chunks=[_call_chunk(raw) for raw in getattr(delta, "tool_calls", None) or ()],
        usage_metadata=_usage(getattr(chunk, "usage", None)),
    )
    told = {"finish_reason": finish_reason} if finish_reason else {}
    info = {**told, **_logprobs(choice)} or None
    return ChatGenerationChunk(message=message, generation_info=info)


def _sent(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, AIMessage):
        return _sent_answer(message)
    if isinstance(message.content, str) or all(_is_plain(block) for block in message.content):
        return convert_to_openai_messages(message)
    sent = convert_to_openai_messages(message.model_copy(update={"content": ""}))
    return {**sent, "content": [sent_block(block) for block in message.content]}


def _sent_answer(message: AIMessage) -> dict[str, Any]:
    plain = AIMessage(spoken(message), tool_calls=message.tool_calls, name=message.name)
    sent = convert_to_openai_messages(plain)
    thinking = _signed(message.additional_kwargs.get("thinking_blocks") or ())
    return {**sent, "thinking_blocks": thinking} if thinking else sent


def _signed(pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the thinking that came in the pieces of a stream; what bears no signature is no use."""
    blocks: list[dict[str, Any]] = []
    thinking = ""
    for piece in pieces:
        if piece.get("type") == "redacted_thinking":
            blocks.append(piece)
            continue
        thinking += piece.get("thinking") or ""
        if piece.get("signature"):
            told = {"thinking": thinking, "signature": piece["signature"]}
            blocks.append({"type": "thinking", **told})
            thinking = ""
    return blocks


def _is_plain(block: str | dict[str, Any]) -> bool:
    return isinstance(block, str) or (block.get("type") == "text" and "cache_control" not in block)


def sent_block(block: str | dict[str, Any]) -> dict[str, Any]:
    """Return a block in OpenAI's words; what has none in them stays as it is."""
    if isinstance(block, str):
        return {"type": "text", "text": block}
    told = _in_openais_words(block)
    mark = block.get("cache_control")
    return {**told, "cache_control": mark} if mark else told


def _in_openais_words(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "text" | "text-plain", "text": str() as text}:
            return {"type": "text", "text": text}
        case {"type": "file" | "video", "url": str() as url} if is_data_content_block(block):
            return {"type": "file", "file": {"file_id": url, **_format(block)}}
        case {"type": "file" | "video", "base64": str() as data, "mime_type": str() as mime_type}:
            file = {"file_data": f"data:{mime_type};base64,{data}", "filename": _filename(block)}
            return {"type": "file", "file": file}
        case {"type": "image" | "file" | "audio"} if is_data_content_block(block):
            return convert_to_openai_data_block(block)
        case _:
            return block


def _format(block: dict[str, Any]) -> dict[str, Any]:
    return {"format": block["mime_type"]} if "mime_type" in block else {}


def _filename(block: dict[str, Any]) -> str:
    extras: dict[str, Any] = block.get("extras") or {}
    return block.get("filename") or extras.get("filename") or "document"


def _message(raw: Any, usage: UsageMetadata | None, metadata: dict[str, Any]) -> AIMessage:
    calls, invalid = _calls(getattr(raw, "tool_calls", None) or ())
    return AIMessage(
        content=getattr(raw, "content", None) or "",
        additional_kwargs=_told(raw, *_THOUGHT, "refusal"),
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


def _logprobs(choice: Any) -> dict[str, Any]:
    """Return the probabilities of tokens as plain values, where there are any."""
    told = getattr(choice, "logprobs", None)
    if not told:
        return {}
    return {"logprobs": told if isinstance(told, dict) else told.model_dump()}


def _usage(raw: Any) -> UsageMetadata | None:
    """Return the tokens that the provider counted; None if it did not."""
    given = getattr(raw, "prompt_tokens", None), getattr(raw, "completion_tokens", None)
    if given == (None, None):
        return None
    taken, made = given[0] or 0, given[1] or 0
    usage = UsageMetadata(input_tokens=taken, output_tokens=made, total_tokens=taken + made)
    if read := _details(getattr(raw, "prompt_tokens_details", None), _INPUT):
        usage["input_token_details"] = cast("InputTokenDetails", read)
    if written := _details(getattr(raw, "completion_tokens_details", None), _OUTPUT):
        usage["output_token_details"] = cast("OutputTokenDetails", written)
    return usage


def _details(raw: Any, names: Mapping[str, str]) -> dict[str, int]:
    """Return what was counted apart, none included; what was not counted is left out."""
    found = {name: getattr(raw, told, None) for told, name in names.items()}
    return {name: count for name, count in found.items() if count is not None}


def _told(raw: Any, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(raw, name, None))}
