"""A key that is rotated under a running host: the next requests use the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest

from capability_router import CapabilityRouter
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router import attach
from tests.connections import connections
from tests.security.keyed import Keyed, keyed_provider

Ask = Callable[[], str]

FILE = """
providers: {{own: {{base_url: {url}, api_key: "${{file:key}}"}}}}
models: {{own/m: {{capabilities: [chat-completion]}}}}
"""


@pytest.fixture
def keyed() -> Iterator[Keyed]:
    with keyed_provider() as keyed, connections():
        yield keyed


def langchain(router: CapabilityRouter) -> Ask:
    chat = ChatCapabilityRouter(router=router, capability="chat-completion")
    return lambda: str(chat.invoke("hello").content)


def litellm_router(router: CapabilityRouter) -> Ask:
    host: Any = litellm.Router(model_list=[])
    attach(host, router)

    def ask() -> str:
        asked = [{"role": "user", "content": "hello"}]
        answer = host.completion(model="chat-completion", messages=asked)
        return str(answer.choices[0].message.content)

    return ask


@pytest.mark.parametrize("host", [langchain, litellm_router])
def test_host_asks_with_the_new_key(
    host: Callable[[CapabilityRouter], Ask], keyed: Keyed, tmp_path: Path
) -> None:
    (tmp_path / "router.yaml").write_text(FILE.format(url=keyed.url))
    (tmp_path / "key").write_text("first-key")
    keyed.key = "first-key"
    router = CapabilityRouter.from_yaml(tmp_path / "router.yaml")
    ask = host(router)
    assert ask() == "welcome"
    (tmp_path / "key").write_text("second-key")
    keyed.key = "second-key"
    assert ask() == "welcome"
    assert router.pool("chat-completion").get_state().standby_count == 0
    assert ask() == "welcome"
