"""LangChain's standard suites with everything switched on, offline.

A suite's class takes :class:`EverySwitch` before the suite; a module or conftest imports the
fixture ``media``, which applies to all tests that see it, and a module takes ``WARNINGS`` for its
``pytestmark``.
"""

from base64 import b64encode
from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any, Literal, Protocol

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_tests.integration_tests import chat_models

from capability_router.lab.pictures import png
from capability_router.lab.sounds import mp3, wav

__all__ = ["WARNINGS", "EverySwitch", "media"]

Detail = Literal[
    "audio_input", "audio_output", "reasoning_output", "cache_read_input", "cache_creation_input"
]
DETAILS: tuple[Detail, ...] = (
    "audio_input",
    "audio_output",
    "reasoning_output",
    "cache_read_input",
    "cache_creation_input",
)

# What LangChain's OpenAI client says of the suites' own requests; the answers are not to blame.
WARNINGS = [
    pytest.mark.filterwarnings(f"ignore:{beginning}:{category}")
    for beginning, category in (
        ("", "langchain_core._api.beta_decorator.LangChainBetaWarning"),
        ("OpenAI may require a filename for file uploads", "UserWarning"),
        ("Pydantic serializer warnings", "UserWarning"),
        ("Received a Pydantic BaseModel V1 schema", "UserWarning"),
    )
]


class Suite(Protocol):
    """What the suites know of the model they test."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]: ...

    @property
    def chat_model_params(self) -> dict[str, Any]: ...


class EverySwitch:
    """Everything that a chat model of the suites may support, supported."""

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_video_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_model_override = True
    returns_usage_metadata = True
    has_tool_calling = True
    has_tool_choice = True
    has_structured_output = True
    model_override_value = "other"

    @property
    def supported_usage_metadata_details(
        self,
    ) -> dict[Literal["invoke", "stream"], list[Detail]]:
        return {"invoke": list(DETAILS), "stream": list(DETAILS)}

    def invoke_with_audio_input(self: Suite, *, stream: bool = False) -> AIMessage:
        sound = {"data": b64encode(wav()).decode(), "format": "wav"}
        return answer(self, [{"type": "input_audio", "input_audio": sound}], stream)

    def invoke_with_audio_output(self: Suite, *, stream: bool = False) -> AIMessage:
        return answer(self, "Sing.", stream)

    def invoke_with_reasoning_output(self: Suite, *, stream: bool = False) -> AIMessage:
        return answer(self, "Think hard.", stream)

    def invoke_with_cache_read_input(self: Suite, *, stream: bool = False) -> AIMessage:
        answer(self, "Say it again.", stream)
        return answer(self, "Say it again.", stream)

    def invoke_with_cache_creation_input(self: Suite, *, stream: bool = False) -> AIMessage:
        return answer(self, "Remember this.", stream)


def answer(suite: Suite, content: str | list[str | dict[Any, Any]], stream: bool) -> AIMessage:
    model = suite.chat_model_class(**suite.chat_model_params)
    messages = [HumanMessage(content)]
    if not stream:
        return model.invoke(messages)
    chunks: list[AIMessageChunk] = list(model.stream(messages))
    return reduce(add, chunks)


@pytest.fixture(autouse=True)
def media(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve what the suites fetch from the web; every other use of httpx stays as it is."""
    monkeypatch.setattr(chat_models, "httpx", _Media())
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "offline")


class _Media:
    """Stands where the suites' module has ``httpx``, of which it uses ``get`` alone."""

    def get(self, url: str, **_: object) -> httpx.Response:
        made = MEDIA.get(url.rpartition(".")[2])
        if made is None:
            raise AssertionError(f"no file for {url}: add its kind to {__name__}.MEDIA")
        return httpx.Response(200, content=made)


def pdf() -> bytes:
    """Make a document of one empty page."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj%bendobj\n" % (number, content)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 4\n0000000000 65535 f \n" + rows
    return body + table + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(body)


MEDIA: Mapping[str, bytes] = {"png": png(), "pdf": pdf(), "wav": wav(), "mp3": mp3()}
