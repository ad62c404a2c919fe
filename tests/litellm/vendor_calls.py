"""One question to each vendor through LiteLLM, by each of its calls."""

from collections.abc import Callable
from typing import Any

import litellm

from tests.connections import run
from tests.litellm.surfaces import QUESTION

AWS = {
    "aws_access_key_id": "AKIANOBODY",
    "aws_secret_access_key": "secret",
    "aws_region_name": "us-east-1",
}
# Names that LiteLLM takes to a tokenizer of its own: others it would fetch from the internet.
VENDORS: dict[str, dict[str, Any]] = {
    "openai": {"model": "openai/gpt-4o-mini"},
    "azure": {"model": "azure/gpt-4o", "api_version": "2024-10-21"},
    "anthropic": {"model": "anthropic/claude-3-5-sonnet-20241022"},
    "gemini": {"model": "gemini/gemini-2.0-flash"},
    "groq": {"model": "groq/openai/gpt-oss-20b"},
    "mistral": {"model": "mistral/mistral-small-latest"},
    "bedrock": {"model": "bedrock/amazon.nova-lite-v1:0", **AWS},
    "openrouter": {"model": "openrouter/openai/gpt-4o-mini"},
}

Ask = Callable[[str, str], str]


def arguments(vendor: str, url: str) -> dict[str, Any]:
    key = {} if vendor == "bedrock" else {"api_key": "key"}
    usual = {"messages": QUESTION, "max_retries": 0, "timeout": 10, "api_base": url}
    return {**usual, **key, **VENDORS[vendor]}


def call(vendor: str, url: str) -> str:
    return str(litellm.completion(**arguments(vendor, url)).choices[0].message.content)


def acall(vendor: str, url: str) -> str:
    answer = run(litellm.acompletion(**arguments(vendor, url)))
    return str(answer.choices[0].message.content)


def stream(vendor: str, url: str) -> str:
    chunks = litellm.completion(stream=True, **arguments(vendor, url))
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def astream(vendor: str, url: str) -> str:
    async def collect() -> str:
        chunks = await litellm.acompletion(stream=True, **arguments(vendor, url))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    return run(collect())


CALLS: list[Ask] = [call, acall, stream, astream]
