"""Streams in the formats of other vendors, as LiteLLM alone reads them."""

from __future__ import annotations

import litellm
import pytest

from litellm_capability_router.answers import check_finish, failure_of_litellm
from litellm_capability_router.endings import with_end_noted
from tests.connections import connections, run
from tests.litellm.surfaces import Surface
from tests.litellm.vendor_calls import arguments
from tests.vendors import ANTHROPIC, GEMINI, OPENAI, scripted

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


@NOTICED
@pytest.mark.parametrize("read_all", [read, aread])
def test_a_cut_stream_is_a_fault_of_protocol(read_all: Surface, vendor: str, chunked: bool) -> None:
    with scripted() as server, connections():
        server.events, server.chunked = CUT[vendor], chunked
        with pytest.raises(Exception) as caught:  # noqa: PT011 - LiteLLM's classes vary
            read_all(server.url, vendor)
    assert failure_of_litellm(caught.value).kind == "protocol"
