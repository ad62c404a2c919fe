"""Streams in the formats of other vendors, through an attached LiteLLM Router."""

from __future__ import annotations

import litellm
import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from litellm_capability_router import CapabilityStreamError, attach
from tests.connections import connections
from tests.litellm.surfaces import Surface, astream, stream
from tests.vendors import ANTHROPIC, GEMINI, Events, scripted

STREAMS = [stream, astream]
CLAUDE, FLASH = ("anthropic", "claude-3-5-sonnet-20241022"), ("gemini", "gemini-2.0-flash")


def ask_in_chunks(ask: Surface, vendor: str, name: str, events: Events) -> str:
    with scripted() as server, connections():
        server.events = events
        url = f"http://127.0.0.1:{server.server_port}"
        provider = Provider("lab", vendor=vendor, base_url=url, api_key=Secret("key"))
        router = CapabilityRouter(providers=[provider])
        router.register(Model(f"lab/{name}", ("chat-completion",)))
        host = litellm.Router(model_list=[])
        attach(host, router)
        return ask(host)


@pytest.mark.parametrize("ask", STREAMS)
@pytest.mark.parametrize(("vendor", "events"), [(CLAUDE, ANTHROPIC), (FLASH, GEMINI)])
def test_a_whole_stream_is_taken_for_an_answer(
    ask: Surface, vendor: tuple[str, str], events: Events
) -> None:
    assert ask_in_chunks(ask, *vendor, events) == "Fine."


@pytest.mark.parametrize("ask", STREAMS)
def test_a_stream_of_anthropic_that_was_cut_is_none(ask: Surface) -> None:
    with pytest.raises(CapabilityStreamError):
        ask_in_chunks(ask, *CLAUDE, ANTHROPIC[:3])
