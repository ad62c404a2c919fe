"""Answers of several providers, each read from a body of its API by the client's own parser."""

import warnings
from collections.abc import Callable
from typing import Any

from anthropic.types import Message
from google.genai.types import GenerateContentResponse
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatResult
from langchain_google_genai.chat_models import _response_to_result
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models._compat import _convert_to_v03_ai_message
from langchain_openai.chat_models.base import _construct_lc_result_from_responses_api
from litellm import ModelResponse
from openai.types.responses import Response
from pydantic import SecretStr

from langchain_capability_router.litellm_messages import result_of

KEY = SecretStr("none")
SIGNATURE = "EqQBCkYIChgCKkDNzxWq"
TEXT = "It rains in Oslo."

CLAUDE = {
    "id": "msg_013Zva2CMHLNnjNjJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "container": {"id": "container_011CP", "expires_at": "2026-01-01T00:00:00Z"},
    "usage": {"input_tokens": 3, "output_tokens": 2},
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
            "name": "web_search",
            "input": {"query": "Oslo weather"},
        },
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_01WYG3ziw53XMcoyKL4XcZmE",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://weather.example",
                    "title": "Oslo",
                    "encrypted_content": "EqgfCioIARgBIiQ3YTAwMjY1Mi1mZj",
                    "page_age": None,
                }
            ],
        },
        {
            "type": "text",
            "text": TEXT,
            "citations": [
                {
                    "type": "web_search_result_location",
                    "url": "https://weather.example",
                    "title": "Oslo",
                    "encrypted_index": "Eo8BCioIAhgBIiQyYjQ0OWJmZi1lNm",
                    "cited_text": "Rain.",
                }
            ],
        },
        {
            "type": "tool_use",
            "id": "toolu_01A09q90qw90lq917835lq9",
            "name": "radar",
            "input": {"city": "Oslo"},
        },
    ],
}
REASONING = {
    "type": "reasoning",
    "id": "rs_67ccd3acc8d48190a77525dc6de64b41",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "gAAAAABoISQ24OyVRYbkYfukdJoqdzWT",
}
RESPONSES = {
    "id": "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41",
    "object": "response",
    "created_at": 1741476777,
    "status": "completed",
    "model": "gpt-5-mini",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "output": [
        REASONING,
        {
            "type": "web_search_call",
            "id": "ws_67ccf18f64008190a39b619f4c8455ef",
            "status": "completed",
            "action": {"type": "search", "query": "Oslo weather"},
        },
        {
            "type": "file_search_call",
            "id": "fs_67ccf18f64008190a39b619f4c8455e0",
            "status": "completed",
            "queries": ["Oslo"],
        },
        {
            "type": "image_generation_call",
            "id": "ig_67ccf18f64008190a39b619f4c8455e1",
            "status": "completed",
            "result": "QUJD",
        },
        {
            "type": "message",
            "id": "msg_67ccd3acc8d48190a77525dc6de64b42",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": TEXT,
                    "annotations": [
                        {
                            "type": "url_citation",
                            "start_index": 0,
                            "end_index": 2,
                            "url": "https://weather.example",
                            "title": "Oslo",
                        }
                    ],
                }
            ],
        },
        {
            "type": "function_call",
            "id": "fc_67ccd3acc8d48190a77525dc6de64b43",
            "call_id": "call_unDEHxQFwzM6UNPBBGYWxvAn",
            "name": "radar",
            "arguments": '{"city": "Oslo"}',
            "status": "completed",
        },
    ],
}
COMPUTER = {
    **RESPONSES,
    "output": [
        REASONING,
        {
            "type": "computer_call",
            "id": "cu_67cc",
            "call_id": "call_MLtcEwJfNb8",
            "action": {"type": "screenshot"},
            "pending_safety_checks": [],
            "status": "completed",
        },
    ],
}
REFUSED = {
    **RESPONSES,
    "output": [
        {
            "type": "message",
            "id": "msg_67ccd3acc8d48190a77525dc6de64b44",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": "I cannot help with that."}],
        }
    ],
}
ONLY_REASONING = {**RESPONSES, "output": [REASONING]}
GEMINI = {
    "response_id": "abc",
    "model_version": "gemini-3-pro-preview",
    "candidates": [
        {
            "finish_reason": "STOP",
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"executable_code": {"code": "print(1)", "language": "PYTHON"}},
                    {"code_execution_result": {"outcome": "OUTCOME_OK", "output": "1"}},
                    {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}},
                    {"text": TEXT, "thought_signature": "Q29udGV4dA=="},
                    {
                        "function_call": {"name": "radar", "args": {"city": "Oslo"}},
                        "thought_signature": "U2lnbmVk",
                    },
                ],
            },
        }
    ],
}


def completion(**message: Any) -> dict[str, Any]:
    """Return a body of Chat Completions."""
    message = {"role": "assistant", "refusal": None, **message}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice]}


RADAR = {
    "id": "call_unDEHxQFwzM6UNPBBGYWxvAn",
    "type": "function",
    "function": {"name": "radar", "arguments": '{"city": "Oslo"}'},
}
SPOKEN = {"id": "audio_abc123", "data": "QUJD", "expires_at": 1, "transcript": TEXT}


def core(result: ChatResult) -> AIMessage:
    """Return the message as LangChain hands it out: it knows what the whole result told."""
    message = result.generations[0].message
    assert isinstance(message, AIMessage)
    metadata = {**(result.llm_output or {}), **message.response_metadata}
    return message.model_copy(update={"response_metadata": metadata})


def v1(message: AIMessage) -> AIMessage:
    """Return the message as ``output_version="v1"`` has it."""
    metadata = {**message.response_metadata, "output_version": "v1"}
    return message.model_copy(
        update={"content": message.content_blocks, "response_metadata": metadata}
    )


def claude() -> AIMessage:
    chat = ChatAnthropic(model="claude-sonnet-4-5", api_key=KEY, timeout=None, stop=None)
    return core(chat._format_output(Message.model_validate(CLAUDE)))


def responses(body: dict[str, Any] = RESPONSES) -> AIMessage:
    return core(_construct_lc_result_from_responses_api(Response.model_validate(body)))


def responses_v0(body: dict[str, Any] = RESPONSES) -> AIMessage:
    return _convert_to_v03_ai_message(responses(body))


def chat_completion(**message: Any) -> AIMessage:
    chat = ChatOpenAI(model="gpt-4o-mini", api_key=KEY)
    return core(chat._create_chat_result(completion(**message)))


def gemini() -> AIMessage:
    with warnings.catch_warnings():
        # Its client warns whenever code was run.
        warnings.simplefilter("ignore", UserWarning)
        return core(_response_to_result(GenerateContentResponse.model_validate(GEMINI)))


def litellm(**message: Any) -> AIMessage:
    body = ModelResponse(**completion(**message))
    return core(result_of(body))


def deepseek() -> AIMessage:
    return AIMessage(
        TEXT,
        additional_kwargs={"reasoning_content": "Hm."},
        response_metadata={"model_provider": "deepseek"},
    )


def claude_through_litellm() -> AIMessage:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
    return litellm(
        content=TEXT, tool_calls=[RADAR], reasoning_content="Hm.", thinking_blocks=[thinking]
    )


def gemini_through_litellm() -> AIMessage:
    signed = {**RADAR, "id": "call_1__thought__" + "Aa+/" * 40}
    return litellm(content=TEXT, tool_calls=[signed])


ANSWERS: dict[str, Callable[[], AIMessage]] = {
    "claude": claude,
    "claude v1": lambda: v1(claude()),
    "responses v0": responses_v0,
    "responses": responses,
    "responses v1": lambda: v1(responses()),
    "computer": lambda: responses(COMPUTER),
    "refused": lambda: responses(REFUSED),
    "refused v0": lambda: responses_v0(REFUSED),
    "only reasoning": lambda: responses(ONLY_REASONING),
    "only reasoning v0": lambda: responses_v0(ONLY_REASONING),
    "chat": lambda: chat_completion(content=TEXT, tool_calls=[RADAR]),
    "audio": lambda: chat_completion(content=None, audio=SPOKEN),
    "gemini": gemini,
    "gemini v1": lambda: v1(gemini()),
    "deepseek": deepseek,
    "claude through litellm": claude_through_litellm,
    "gemini through litellm": gemini_through_litellm,
}
