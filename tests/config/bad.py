"""What the tables of bad documents are made of."""

from typing import NamedTuple

import pytest

from capability_router.config import loads
from capability_router.engine.errors import ConfigurationError, Problem

PROVIDERS = "providers: {openai: , local: }\n"
MODELS = PROVIDERS + "models:\n  openai/gpt-4o: {capabilities: [chat-completion]}\n"
CHAT = "generation.text-generation.chat-completion"


class Bad(NamedTuple):
    text: str
    key_path: str
    fragments: tuple[str, ...]
    nearest: str | None = None


def model(settings: str) -> str:
    return f"{PROVIDERS}models:\n  openai/gpt-4o: {{{settings}}}\n"


def pool(settings: str) -> str:
    return f"pools: {{text: {{hierarchy_node: search, {settings}}}}}\n"


M = "models.'openai/gpt-4o'"

ENVIRON = {"SET": "canary-from-env", "EMPTY": "", "BROKEN": "canary\n"}


def problem_of(text: str) -> Problem:
    with pytest.raises(ConfigurationError) as caught:
        loads(text, file="router.yaml", environ=ENVIRON)
    assert caught.value.__context__ is None, "a cause could carry the document along"
    (problem,) = caught.value.problems
    return problem
