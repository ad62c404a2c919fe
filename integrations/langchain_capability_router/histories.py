"""A conversation as the next chat model can take it, whoever gave the answers in it.

Each provider leaves content of its own in its answers: signed reasoning, ids of what it stored, the
calls of its own tools. It wants that back, and another provider refuses it. Knows no router and
calls no model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage

from langchain_capability_router.blocks import portable

__all__ = ["acceptable", "maker_of", "spoken"]

# Where a chat model signs its answers otherwise than it names its provider.
_SIGNED_AS = {"amazon_bedrock": "bedrock", "azure": "openai", "mistral": "mistralai"}

# Whose answers hold what only the same account and model may be given again: stored items and
# encrypted reasoning of OpenAI, signatures of Gemini. Claude's signatures hold everywhere.
_BOUND = frozenset({"google_genai", "google_vertexai", "litellm", "openai", "xai"})

_ANYBODY, _UNKNOWN = "", "unknown"

# Who wrote an unsigned answer, told by what only one maker leaves there.
_MAKER_BY_BLOCK = {
    **dict.fromkeys(("audio", "file", "image", "image_url", "tool_call", "video"), _ANYBODY),
    "code_execution_result": "google_genai",
    "executable_code": "google_genai",
    "function_call": "openai",
    "function_call_signature": "google_genai",
    "invalid_tool_call": _UNKNOWN,
    "media": "google_genai",
    "output_text": "openai",
    "redacted_thinking": "anthropic",
    "refusal": "openai",
    "server_tool_call": _UNKNOWN,
    "server_tool_use": "anthropic",
    "thinking": "anthropic",
    "tool_use": "anthropic",
}
_MAKER_BY_EXTRA = {
    "__gemini_function_call_thought_signatures__": "google_genai",
    "__openai_function_call_ids__": "openai",
    "audio": "openai",
    "reasoning": "openai",
    "reasoning_content": "deepseek",
    "thinking_blocks": "litellm",
    "tool_outputs": "openai",
}

# Anthropic's alphabet and OpenAI's length. Mistral is stricter, and may be behind LiteLLM.
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MISTRAL_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_MAYBE_MISTRAL = frozenset({"litellm", "mistralai"})


def maker_of(inner: BaseChatModel) -> str:
    """Return what a chat model signs its answers with, as ``model_provider`` in their metadata.

    Azure's models sign like OpenAI's, for instance.
    """
    if type(inner).__name__ == "ChatBedrockConverse":
        return "bedrock_converse"
    params = inner._get_ls_params()  # pyright: ignore[reportPrivateUsage]  # as core does
    provider = params.get("ls_provider", "")
    return _SIGNED_AS.get(provider, provider)


def acceptable(
    messages: Sequence[BaseMessage], *, maker: str, model_id: str | None = None
) -> list[BaseMessage]:
    """Return a conversation as the next chat model can take it; the input is not changed.

    Answers of the next model itself stay as they are, and so do those of its maker unless they
    hold what belongs to one account. Any other answer is reduced to its text, refusals and
    transcripts included, and its tool calls; one of which nothing is left is dropped, and so is
    the result of a tool call that is gone. What is lost: reasoning, calls of a provider's own tools
    and pictures that a model made, which no chat API takes back from another. Call ids that the
    next API refuses are replaced, in the results too, and always by the same ones.

    All other messages keep their order and their content; ways of writing it and cache marks that
    only another maker knows go.

    Args:
        messages: The conversation so far.
        maker: The next model's, of ``maker_of``, or ``litellm``.
        model_id: Id of the next model, as ``served_by`` names it in the answers of a router; None
            takes every answer of the maker for the next model's own.

    Returns:
        A new list; messages that need no change are the same objects.
    """
    taken: list[BaseMessage] = []
    # The call ids of the last answer if it was reduced, each with its new one.
    calls: dict[str | None, str | None] | None = None
    for message in messages:
        if not isinstance(message, AIMessage):
            result = _result(message, calls) if isinstance(message, ToolMessage) else message
            if result is not None:
                taken.append(portable(result, maker))
            continue
        author = message.response_metadata.get("model_provider") or _author(message)
        calls = None
        if author == _ANYBODY:
            taken.append(portable(message, maker))
        elif author == maker and (maker not in _BOUND or _is_same(message, model_id)):
            taken.append(_in_account(message, model_id))
        else:
            calls = {call["id"]: _call_id(call["id"], maker) for call in message.tool_calls}
            taken.extend(_reduced(message, calls, maker, model_id))
    return taken


def spoken(message: AIMessage) -> str:
    """Return all that an answer says: its text, or else its refusal or the words of its audio."""
    content = message.content
    blocks = [content] if isinstance(content, str) else content
    text = "".join(_words(block) for block in blocks)
    if not text.strip():
        extras = message.additional_kwargs
        text = _text(extras.get("refusal")) or _text(_entry(extras, "audio").get("transcript"))
    return text


def _words(block: str | dict[str, Any]) -> str:
    if isinstance(block, str):
        return block
    kind = block.get("type")
    if kind in {"text", "output_text"}:
        return _text(block.get("text"))
    return _text(block.get("refusal")) if kind == "refusal" else ""


def _reduced(
    message: AIMessage,
    calls: Mapping[str | None, str | None],
    maker: str,
    model_id: str | None,
) -> list[AIMessage]:
    """Return the text and the calls of an answer; nothing if it has neither.

    Anthropic refuses an empty text, and takes two questions in a row. Calls whose arguments are no
    JSON go, with their results: a call that has no result is refused.
    """
    text = spoken(message)
    if not (text or message.tool_calls):
        return []
    return [
        AIMessage(
            content=text,
            additional_kwargs=_carried(message, maker, model_id),
            tool_calls=[
                ToolCall(name=call["name"], args=call["args"], id=calls[call["id"]])
                for call in message.tool_calls
            ],
            name=message.name,
        )
    ]


def _carried(message: AIMessage, maker: str, model_id: str | None) -> dict[str, Any]:
    """Return Claude's signed thinking if LiteLLM got it from the same model, of any account.

    Without it Claude refuses to go on from its own tool calls.
    """
    blocks = message.additional_kwargs.get("thinking_blocks")
    author = message.response_metadata.get("model_provider")
    if not blocks or author != maker or _name(_served_by(message)) != _name(model_id):
        return {}
    return {"thinking_blocks": blocks}


def _result(
    message: ToolMessage, calls: Mapping[str | None, str | None] | None
) -> ToolMessage | None:
    """Return a tool's result under the id that its call has now; None if the call is gone."""
    if calls is None or calls.get(message.tool_call_id) == message.tool_call_id:
        return message
    call_id = calls.get(message.tool_call_id)
    if call_id is None:
        return None
    return message.model_copy(update={"tool_call_id": call_id})


def _call_id(given: str | None, maker: str) -> str | None:
    allowed = _MISTRAL_CALL_ID if maker in _MAYBE_MISTRAL else _CALL_ID
    if not given or allowed.fullmatch(given):
        return given
    return hashlib.sha256(given.encode()).hexdigest()[:9]


def _author(message: AIMessage) -> str:
    """Tell by the content who wrote an unsigned answer: anybody if it is plain."""
    for name in message.additional_kwargs:
        if name in _MAKER_BY_EXTRA:
            return _MAKER_BY_EXTRA[name]
    if isinstance(message.content, str):
        return _ANYBODY
    authors = {_author_of_block(block) for block in message.content}
    authors.discard(_ANYBODY)
    return authors.pop() if len(authors) == 1 else _UNKNOWN if authors else _ANYBODY


def _author_of_block(block: str | dict[str, Any]) -> str:
    if isinstance(block, str):
        return _ANYBODY
    kind = str(block.get("type"))
    if kind == "reasoning":
        return "openai" if "summary" in block or "encrypted_content" in block else _UNKNOWN
    if kind == "text":
        return "anthropic" if block.get("citations") else _ANYBODY
    if kind in _MAKER_BY_BLOCK:
        return _MAKER_BY_BLOCK[kind]
    if kind.endswith("_tool_result"):
        return "anthropic"
    return "openai" if kind.endswith("_call") else _UNKNOWN


def _is_same(message: AIMessage, model_id: str | None) -> bool:
    served_by = _served_by(message)
    return served_by is None or model_id is None or served_by == model_id


def _in_account(message: AIMessage, model_id: str | None) -> AIMessage:
    """Return an answer without the sandbox it ran code in, if that is another account's."""
    metadata = message.response_metadata
    if "container" not in metadata or _is_same(message, model_id):
        return message
    if _account(_served_by(message)) == _account(model_id):
        return message
    rest = {name: value for name, value in metadata.items() if name != "container"}
    return message.model_copy(update={"response_metadata": rest})


def _served_by(message: AIMessage) -> str | None:
    return _text(_entry(message.response_metadata, "capability_router").get("served_by")) or None


def _account(model_id: str | None) -> str:
    return (model_id or "").partition("/")[0]


def _name(model_id: str | None) -> str:
    return (model_id or "").partition("/")[2]


def _entry(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an entry that should be a mapping; a stored conversation may hold anything."""
    value = mapping.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
