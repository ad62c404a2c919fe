import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

import pytest

from capability_router import (
    CapabilityRouter,
    Catalogue,
    CatalogueEntry,
    EventType,
    Model,
    Provider,
    RoutingEvent,
    Secret,
    adiscover,
    discover,
)
from capability_router.lab import Fault, Lab, hang, html, server_error, unauthorized
from capability_router.testing import ManualClock

CHAT = ("generation.text-generation.chat-completion",)
KEY = "sk-canary-2"
DAY = 86_400.0
NONE = Catalogue()


def router_of(lab: Lab) -> CapabilityRouter:
    providers = [Provider(p.name, base_url=p.base_url, api_key=Secret(KEY)) for p in lab]
    return CapabilityRouter(providers=providers, clock=ManualClock())


@pytest.fixture(name="lab")
def two_providers() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo") as lab:
        yield lab


class Listing(ThreadingHTTPServer):
    """Answers every request with one body, and keeps the headers that came with it."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.body = body
        self.status = status
        self.asked: list[dict[str, str]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        listing = self.server
        assert isinstance(listing, Listing)
        listing.asked.append(dict(self.headers) | {"path": self.path})
        self.send_response(listing.status)
        self.send_header("Content-Length", str(len(listing.body)))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        try:
            self.wfile.write(listing.body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def asked(body: object, status: int = 200) -> str:
    """Return what is told of one provider that lists this."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with Listing(raw, status) as listing:
        router = CapabilityRouter(providers=[Provider("one", base_url=listing.base_url)])
        return discover(router, catalogue=NONE)["one"].error


def test_models_are_new_unknown_or_vanished(lab: Lab) -> None:
    router = router_of(lab)
    router.register(Model("alpha/gone", CHAT))
    router.register(Model("beta/beta", CHAT))
    known = CatalogueEntry(name="alpha", vendor="openai", model_name="alpha", capabilities=CHAT)
    found = discover(router, catalogue=Catalogue([known]))
    alpha, beta = found["alpha"], found["beta"]
    assert (alpha.error, alpha.served, beta.served) == ("", 1, 1)
    assert (dict(alpha.new), alpha.unknown) == ({"alpha": known}, ())
    assert (alpha.vanished, beta.vanished) == (("alpha/gone",), ())
    assert (dict(beta.new), beta.unknown) == ({}, ())
    assert discover(router, catalogue=NONE)["alpha"].unknown == ("alpha",)


def test_nothing_is_registered_until_the_user_does(lab: Lab) -> None:
    router = router_of(lab)
    known = CatalogueEntry(name="alpha", vendor="openai", model_name="alpha", capabilities=CHAT)
    found = discover(router, catalogue=Catalogue([known]))
    assert router.models == []
    for model in found.models():
        router.register(model)
    assert [model.id for model in router.models] == ["alpha/alpha"]


def test_what_was_found_is_one_event_that_json_can_hold(lab: Lab) -> None:
    router = router_of(lab)
    router.register(Model("alpha/gone", CHAT, deprecated_at=1.0))
    events: list[RoutingEvent] = []
    router.emitter.subscribe(events.append, EventType.MODELS_DISCOVERED)
    discover(router, catalogue=NONE)
    (event,) = events
    assert (event.pool, event.model) == ("", "")
    assert str(event) == "the router: models_discovered"
    details = json.loads(json.dumps(event.details))
    assert details["providers"]["alpha"] == {
        "error": "",
        "served": 1,
        "new": [],
        "unknown": ["alpha"],
        "vanished": ["alpha/gone"],
        "deprecated": {"alpha/gone": 1.0},
    }


def test_models_near_their_last_day_are_told(lab: Lab) -> None:
    router = router_of(lab)
    now = router.clock.wall()
    router.register(Model("alpha/soon", CHAT, deprecated_at=now + 29 * DAY))
    router.register(Model("alpha/later", CHAT, deprecated_at=now + 31 * DAY))
    router.register(Model("alpha/known", CHAT))
    entry = CatalogueEntry(
        name="known", vendor="openai", model_name="known", capabilities=CHAT, deprecated_at=now
    )
    found = discover(router, catalogue=Catalogue([entry]))
    assert set(found["alpha"].deprecated) == {"alpha/soon", "alpha/known"}
    assert set(discover(router, catalogue=NONE, soon_s=0)["alpha"].deprecated) == set()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (unauthorized(), "answered with status 401"),
        (server_error(), "answered with status 500"),
        (html(), "answered with something that is no JSON"),
        (hang(), "did not answer within 0.2 s"),
    ],
)
def test_a_provider_that_fails_spoils_nothing_of_the_others(
    fault: Fault, error: str, lab: Lab
) -> None:
    router = router_of(lab)
    router.register(Model("alpha/small", CHAT))
    lab["alpha"].fault = fault
    found = discover(router, catalogue=NONE, timeout_s=0.2 if fault == hang() else 10.0)
    assert (found["alpha"].error, found["alpha"].vanished) == (error, ())
    assert found["beta"].unknown == ("beta",)
    assert str(found) == f"alpha: {error}\nbeta: serves 1\n  unknown: beta"


def test_a_provider_that_does_not_listen_is_told(lab: Lab) -> None:
    router = router_of(lab)
    lab["alpha"].stop()
    assert discover(router, catalogue=NONE)["alpha"].error == "cannot be asked: ConnectError"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        ({"data": {"id": "x"}}, "no list of models"),
        ("models", "no list of models"),
        ({"data": ["x"]}, "without a usable id"),
        ({"data": [{"id": ""}]}, "without a usable id"),
        ({"data": [{"id": 3}]}, "without a usable id"),
        ({"data": [{"id": "a\x1b[31m"}]}, "without a usable id"),
        ({"data": [{"id": "a" * 201}]}, "without a usable id"),
        ({"data": [{"id": "a"}] * 10_001}, "more than 10,000 models"),
        (b" " * 10_000_001, "more than 10,000,000 bytes"),
    ],
)
def test_an_answer_of_the_wrong_form_is_refused_as_a_whole(body: object, error: str) -> None:
    assert error in asked(body)


def test_a_list_without_envelope_and_googles_names_are_read() -> None:
    with Listing(json.dumps([{"id": "models/gemini"}, {"id": "b"}]).encode()) as listing:
        router = CapabilityRouter(providers=[Provider("one", base_url=listing.base_url)])
        found = discover(router, catalogue=NONE)["one"]
    assert (found.error, found.unknown) == ("", ("gemini", "b"))


def test_a_redirection_is_not_followed_with_the_key() -> None:
    assert asked({}, status=302) == "answered with status 302"


def test_the_key_is_shown_to_its_own_provider_only() -> None:
    with Listing(b"[]") as own, Listing(b"[]") as bare:
        providers = [
            Provider("own", base_url=own.base_url, api_key=Secret(KEY)),
            Provider("bare", base_url=bare.base_url),
        ]
        router = CapabilityRouter(providers=providers)
        found = discover(router, catalogue=NONE, environ={"OPENAI_API_KEY": "sk-of-openai"})
        assert [request["Authorization"] for request in own.asked] == [f"Bearer {KEY}"]
        assert [request["path"] for request in own.asked] == ["/v1/models"]
        assert "Authorization" not in bare.asked[0]
    assert KEY not in f"{found} {found!r}"


def test_a_vendors_key_and_address_come_from_the_environment() -> None:
    with Listing(b"[]") as listing:
        router = CapabilityRouter()
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": listing.base_url}
        discover(router, [Provider("openai")], catalogue=NONE, environ=environ)
        assert [request["Authorization"] for request in listing.asked] == [f"Bearer {KEY}"]


def test_an_ollama_server_of_the_environment_is_asked_where_it_lists_its_models() -> None:
    with Listing(b'{"data": [{"id": "llama3:8b"}]}') as listing:
        environ = {"OLLAMA_API_BASE": listing.base_url.removesuffix("/v1")}
        router = CapabilityRouter.from_environment(environ=environ, catalogue=NONE)
        assert discover(router, catalogue=NONE)["ollama"].unknown == ("llama3:8b",)
        assert [request["path"] for request in listing.asked] == ["/v1/models"]


def test_a_vendor_that_lists_no_models_is_told_and_not_asked() -> None:
    router = CapabilityRouter()
    router.register(Model("voyage/small", CHAT))
    found = discover(router, catalogue=NONE, environ={"VOYAGE_API_KEY": KEY})
    assert found["voyage"].error == "no OpenAI-compatible list of models is known of voyage"


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="timeout_s 0 must be above 0"):
        discover(CapabilityRouter(), timeout_s=0)


def test_a_provider_that_was_not_asked_is_no_part_of_the_discovery() -> None:
    found = discover(CapabilityRouter(), catalogue=NONE)
    assert str(found) == "no provider to ask"
    with pytest.raises(KeyError, match="was not asked, only: none"):
        found["alpha"]


def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"pip install 'capability-router\[discovery\]'"):
        discover(CapabilityRouter(), [Provider("openai")], catalogue=NONE)


async def test_an_event_loop_goes_on_while_providers_are_asked(lab: Lab) -> None:
    found = await adiscover(router_of(lab), catalogue=NONE)
    assert found["beta"].unknown == ("beta",)
