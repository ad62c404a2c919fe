"""What the chat APIs take, as strictly as their references say it; built by the real clients."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import BaseMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from litellm.llms.anthropic.chat.transformation import AnthropicConfig
from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig
from litellm.llms.vertex_ai.gemini.transformation import _gemini_convert_messages_with_history
from pydantic import SecretStr

from langchain_capability_router.litellm_messages import openai_messages

KEY = SecretStr("none")
Payload = list[dict[str, Any]]
Build = Callable[[Sequence[BaseMessage]], Payload]

# Keys of each block by its type: those that must be there, and those that may.
Keys = dict[str, tuple[set[str], set[str]]]
CHAT_USER: Keys = {
    "text": ({"text"}, set()),
    "image_url": ({"image_url"}, set()),
    "file": ({"file"}, set()),
    "input_audio": ({"input_audio"}, set()),
}
CHAT_TEXT: Keys = {"text": ({"text"}, set())}
RESPONSES_ITEMS: Keys = {
    "message": ({"role", "content"}, set()),
    "function_call": ({"call_id", "name", "arguments"}, set()),
    "function_call_output": ({"call_id", "output"}, set()),
}
RESPONSES_PARTS: Keys = {
    "input_text": ({"text"}, set()),
    "input_image": ({"image_url"}, {"detail"}),
    "output_text": ({"text", "annotations"}, set()),
}
CLAUDE_USER: Keys = {
    "text": ({"text"}, {"cache_control"}),
    "image": ({"source"}, {"cache_control"}),
    "tool_result": ({"tool_use_id", "content"}, {"is_error", "cache_control"}),
}
CLAUDE_ASSISTANT: Keys = {"text": ({"text"}, set()), "tool_use": ({"id", "name", "input"}, set())}
CLAUDE_OWN: Keys = {
    **CLAUDE_ASSISTANT,
    "text": ({"text"}, {"citations"}),
    "thinking": ({"thinking", "signature"}, set()),
    "redacted_thinking": ({"data"}, set()),
    "server_tool_use": ({"id", "name", "input"}, set()),
    "web_search_tool_result": ({"tool_use_id", "content"}, set()),
}

SKIPPED = "skip_thought_signature_validator"


def chat_completions(messages: Sequence[BaseMessage]) -> Payload:
    chat = ChatOpenAI(model="gpt-4o-mini", api_key=KEY, use_responses_api=False)
    payload: Payload = chat._get_request_payload(list(messages))["messages"]
    return payload


def responses(messages: Sequence[BaseMessage]) -> Payload:
    chat = ChatOpenAI(model="gpt-5-mini", api_key=KEY, use_responses_api=True)
    payload: Payload = chat._get_request_payload(list(messages))["input"]
    return payload


def claude(messages: Sequence[BaseMessage]) -> Payload:
    chat = ChatAnthropic(model="claude-sonnet-4-5", api_key=KEY, timeout=None, stop=None)
    payload: Payload = chat._get_request_payload(list(messages))["messages"]
    return payload


def gemini(messages: Sequence[BaseMessage]) -> Payload:
    chat = ChatGoogleGenerativeAI(model="gemini-3-pro-preview", api_key=KEY)
    contents = chat._prepare_request(list(messages))["contents"]
    return [content.model_dump(exclude_none=True) for content in contents]


def claude_through_litellm(messages: Sequence[BaseMessage]) -> Payload:
    sent: Any = openai_messages(messages, model_id="claude/next")
    payload: Payload = AnthropicConfig().transform_request(
        model="claude-sonnet-4-5",
        messages=sent,
        optional_params={"max_tokens": 10},
        litellm_params={},
        headers={},
    )["messages"]
    return payload


def gemini_through_litellm(messages: Sequence[BaseMessage]) -> Payload:
    sent: Any = openai_messages(messages, model_id="gemini/next")
    told = [message for message in sent if message["role"] != "system"]
    contents: Any = _gemini_convert_messages_with_history(messages=told, model="gemini-2.5-flash")
    payload: Payload = contents
    return payload


def openai_through_litellm(messages: Sequence[BaseMessage]) -> Payload:
    sent: Any = openai_messages(messages, vendor="openai", model_id="openai/next")
    payload: Payload = OpenAIGPTConfig().transform_request(
        model="gpt-4o-mini",
        messages=sent,
        optional_params={},
        litellm_params={"custom_llm_provider": "openai", "api_base": "http://127.0.0.1/v1"},
        headers={},
    )["messages"]
    return payload


def faults_of_chat_completions(payload: Payload) -> Iterator[str]:
    keys = {
        "system": ({"content"}, {"name"}),
        "user": ({"content"}, {"name"}),
        "assistant": ({"content"}, {"name", "tool_calls"}),
        "tool": ({"content", "tool_call_id"}, set()),
    }
    calls: list[str] = []
    for message in payload:
        yield from _faults(message, keys, "role")
        content = message["content"]
        if isinstance(content, list):
            allowed = CHAT_USER if message["role"] == "user" else CHAT_TEXT
            for block in content:
                yield from _faults(block, allowed)
        if message["role"] == "assistant" and not (content or message.get("tool_calls")):
            yield "an assistant says nothing"
        answered = message.get("tool_call_id")
        yield from _unanswered(calls, [answered] if answered else [])
        calls.extend(call["id"] for call in message.get("tool_calls", ()))
        yield from (f"id {call} is too long" for call in calls if len(call) > 64)


def faults_of_responses(payload: Payload) -> Iterator[str]:
    calls: list[str] = []
    for item in payload:
        yield from _faults(item, RESPONSES_ITEMS)
        if isinstance(item.get("content"), list):
            for part in item["content"]:
                yield from _faults(part, RESPONSES_PARTS)
        output = item.get("type") == "function_call_output"
        if item.get("type") == "function_call":
            calls.append(item["call_id"])
        else:
            yield from _unanswered(calls, [item["call_id"]] if output else [])


def faults_of_claude(payload: Payload, own: Keys = CLAUDE_ASSISTANT) -> Iterator[str]:
    keys: Keys = {role: ({"content"}, set()) for role in ("user", "assistant")}
    calls: list[str] = []
    for message in payload:
        yield from _faults(message, keys, "role")
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not blocks:
            yield "a message is empty"
        for block in blocks:
            yield from _faults(block, own if message["role"] == "assistant" else CLAUDE_USER)
            if block["type"] == "text" and not block["text"].strip():
                yield "a text is empty"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        yield from _unanswered(calls, results)
        calls.extend(block["id"] for block in blocks if block["type"] == "tool_use")
        yield from (f"id {call}" for call in calls if not re.fullmatch(r"[a-zA-Z0-9_-]+", call))


def faults_of_gemini(payload: Payload) -> Iterator[str]:
    for content in payload:
        allowed = {"text", "function_call", "thought_signature"}
        if content["role"] == "user":
            allowed = {"text", "function_response", "inline_data"}
        for part in content["parts"]:
            yield from (f"{content['role']} sends {key}" for key in part.keys() - allowed)
            if part.get("thought_signature", SKIPPED) != SKIPPED:
                yield "a signature of another model"
            if not part.get("text", "full"):
                yield "a text is empty"
    called, answered = (
        sum(key in part for content in payload for part in content["parts"])
        for key in ("function_call", "function_response")
    )
    if called != answered:
        yield f"{called} calls have {answered} results"


def _unanswered(calls: list[str], answered: list[str]) -> Iterator[str]:
    """Take the answers off the open calls; whatever follows a call must answer it."""
    for call_id in answered:
        if call_id not in calls:
            yield f"result of {call_id}, which nobody called"
        else:
            calls.remove(call_id)
    if not answered and calls:
        yield f"{calls} have no result"
        calls.clear()


def _faults(block: dict[str, Any], keys: Keys, tag: str = "type") -> Iterator[str]:
    kind = block.get(tag)
    if kind not in keys:
        yield f"{tag} {kind}"
        return
    needed, more = keys[kind]
    yield from (f"{kind} lacks {key}" for key in needed - block.keys())
    yield from (f"{kind} has {key}" for key in block.keys() - needed - more - {tag})


TARGETS: dict[str, tuple[str, Build, Callable[[Payload], Iterator[str]]]] = {
    "chat completions": ("openai", chat_completions, faults_of_chat_completions),
    "responses": ("openai", responses, faults_of_responses),
    "claude": ("anthropic", claude, faults_of_claude),
    "gemini": ("google_genai", gemini, faults_of_gemini),
    "openai through litellm": ("litellm", openai_through_litellm, faults_of_chat_completions),
    "claude through litellm": ("litellm", claude_through_litellm, faults_of_claude),
    "gemini through litellm": ("litellm", gemini_through_litellm, faults_of_gemini),
}
