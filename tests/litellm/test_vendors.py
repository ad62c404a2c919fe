"""Streams in the formats of other vendors, through an attached LiteLLM Router and without one."""

from __future__ import annotations

import litellm
import pytest

from capability_router import CapabilityRouter, Model, Provider, Secret
from litellm_capability_router import CapabilityStreamError, attach
from litellm_capability_router.answers import check_finish, failure_of_litellm
from litellm_capability_router.endings import with_end_noted
from tests.connections import connections, run
from tests.litellm.surfaces import Surface, astream, stream
from tests.litellm.vendor_calls import arguments
from tests.vendors import ANTHROPIC, GEMINI, OPENAI, Events, scripted

STREAMS = [stream, astream]
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-3-5-sonnet-20241022",
    "gemini": "gemini-2.0-flash",
}
WHOLE = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
CUT = {"openai": OPENAI[:1], "anthropic": ANTHROPIC[:3], "gemini": GEMINI[:1]}
NOTICED = pytest.mark.parametrize(
    ("vendor", "chunked"),
    [
        ("openai", True),
        ("openai", False),
        ("anthropic", True),
        ("anthropic", False),
        ("gemini", True),
        ("gemini", False),
    ],
)


def ask_in_chunks(ask: Surface, vendor: str, events: Events, *, chunked: bool) -> str:
    with scripted() as server, connections():
        server.events, server.chunked = events, chunked
        provider = Provider("lab", vendor=vendor, base_url=server.url, api_key=Secret("key"))
        router = CapabilityRouter(providers=[provider])
        router.register(Model(f"lab/{MODELS[vendor]}", ("chat-completion",)))
        host = litellm.Router(model_list=[])
        attach(host, router)
        return ask(host)


def read(url: str, vendor: str) -> None:
    chunks = with_end_noted(litellm.completion(stream=True, **arguments(vendor, url)))
    list(chunks)
    check_finish(chunks)


def aread(url: str, vendor: str) -> None:
    async def collect() -> None:
        chunks = with_end_noted(await litellm.acompletion(stream=True, **arguments(vendor, url)))
        async for _ in chunks:
            pass
        check_finish(chunks)

    run(collect())


@pytest.mark.parametrize("ask", STREAMS)
@pytest.mark.parametrize("vendor", WHOLE)
def test_a_whole_stream_is_taken_for_an_answer(ask: Surface, vendor: str) -> None:
    assert ask_in_chunks(ask, vendor, WHOLE[vendor], chunked=False) == "Fine."


@NOTICED
@pytest.mark.parametrize("ask", STREAMS)
def test_a_cut_stream_is_no_answer(ask: Surface, vendor: str, chunked: bool) -> None:
    with pytest.raises(CapabilityStreamError):
        ask_in_chunks(ask, vendor, CUT[vendor], chunked=chunked)


@NOTICED
@pytest.mark.parametrize("read_all", [read, aread])
def test_a_cut_stream_is_a_fault_of_protocol(read_all: Surface, vendor: str, chunked: bool) -> None:
    with scripted() as server, connections():
        server.events, server.chunked = CUT[vendor], chunked
        with pytest.raises(Exception) as caught:  # noqa: PT011 - LiteLLM's classes vary
            read_all(server.url, vendor)
    assert failure_of_litellm(caught.value).kind == "protocol"
