"""Scripts, counts, quotas, and the deaths and returns of providers."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from capability_router.lab import (
    Fault,
    Lab,
    LabError,
    LabProvider,
    hang,
    latency,
    ok,
    overloaded,
    quota,
    rate_limited,
    refused,
    reset,
    server_error,
    silent_stream,
)
from tests.lab.asking import chat, post


def statuses(client: httpx.Client, provider: LabProvider, count: int) -> list[int]:
    return [post(client, provider).status_code for _ in range(count)]


def lab_threads(lab: Lab) -> list[str]:
    names = tuple(f"lab-{provider.name}-" for provider in lab)
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(names)]


def test_script_is_played_in_order_before_the_standing_fault(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.fault = overloaded()
    provider.script(rate_limited(), ok(), server_error())
    assert statuses(raw, provider, 5) == [429, 200, 500, 503, 503]
    assert provider.scripted == ()


def test_new_script_replaces_what_is_left_of_the_old(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.script(server_error(), server_error(), server_error())
    assert statuses(raw, provider, 1) == [500]
    provider.script(rate_limited())
    assert statuses(raw, provider, 2) == [429, 200]


def test_script_refuses_what_needs_no_request(provider_lab: Lab) -> None:
    with pytest.raises(ValueError, match=r"stop\(\) and start\(\)"):
        provider_lab["alpha"].script(ok(), refused())
    assert provider_lab["alpha"].scripted == ()


def test_forgotten_brackets_are_found(provider_lab: Lab) -> None:
    with pytest.raises(TypeError, match=r"did you mean reset\(\)"):
        provider_lab["alpha"].script(reset)  # type: ignore[arg-type]  # this is the mistake
    with pytest.raises(TypeError, match="'ok'"):
        provider_lab["alpha"].fault = "ok"  # type: ignore[assignment]  # this is the mistake


def test_providers_count_their_own_requests_whatever_becomes_of_them(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].script(reset(), server_error())
    with pytest.raises(httpx.ReadError):
        post(raw, provider_lab["alpha"])
    statuses(raw, provider_lab["alpha"], 3)
    statuses(raw, provider_lab["beta"], 1)
    assert [provider.request_count for provider in provider_lab] == [4, 1, 0]


def test_concurrent_requests_are_all_counted_and_take_one_entry_each(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.script(*[server_error()] * 10)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: post(raw, provider).status_code, range(40)))
    assert (seen.count(500), seen.count(200), provider.request_count) == (10, 30, 40)


def test_record_tells_what_was_sent_but_no_secret(
    provider_lab: Lab, openai_client: Callable[[LabProvider], openai.OpenAI]
) -> None:
    provider = provider_lab["alpha"]
    provider.script(latency(0.0))
    with openai_client(provider).chat.completions.create(**chat(stream=True)):
        pass
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.body == chat(stream=True)
    assert (request.stream, request.fault) == (True, latency(0.0))
    assert request.headers["authorization"] == "[redacted]"
    assert "a-secret" not in repr(request)


def test_waiting_for_requests_ends_in_time_or_says_how_many_came(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    post(raw, provider_lab["alpha"])
    provider_lab["alpha"].wait_for_requests(1)
    with pytest.raises(TimeoutError, match="1 of 2"):
        provider_lab["alpha"].wait_for_requests(2, timeout=0.01)


def test_stopped_provider_refuses_and_returns_on_the_same_port_as_it_was(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    provider.fault = overloaded()
    url = provider.base_url
    for _ in range(3):
        assert statuses(raw, provider, 1) == [503]
        provider.stop()
        assert provider.fault == refused()
        assert not provider.is_listening
        with pytest.raises(httpx.ConnectError):
            post(raw, provider)
        provider.start()
        assert (provider.base_url, provider.fault) == (url, overloaded())
    assert statuses(raw, provider_lab["beta"], 1) == [200]


@pytest.mark.parametrize("fault", [hang(), silent_stream(), latency(3600)])
@pytest.mark.parametrize("stream", [False, True])
def test_stopping_cuts_the_requests_under_way_at_once(
    provider_lab: Lab, raw: httpx.Client, fault: Fault, stream: bool
) -> None:
    provider = provider_lab["alpha"]
    provider.fault = fault
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, raw, provider, chat(stream=stream))
        provider.wait_for_requests(1)
        provider.stop()
        assert isinstance(waiting.exception(timeout=10), httpx.TransportError)


def test_start_and_stop_do_no_harm_twice(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.start()
    assert statuses(raw, provider, 1) == [200]
    provider.stop()
    provider.stop()
    provider.start()
    assert statuses(raw, provider, 1) == [200]


def test_setting_a_fault_on_a_stopped_provider_brings_it_back(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider_lab["alpha"].stop()
    provider_lab["alpha"].fault = overloaded()
    assert statuses(raw, provider_lab["alpha"], 1) == [503]


def test_heal_ends_script_and_standing_fault(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.fault = overloaded()
    provider.script(server_error(), server_error())
    provider.heal()
    assert statuses(raw, provider, 1) == [200]


def test_used_up_quota_answers_429_until_reset(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.quota = quota(2)
    assert statuses(raw, provider, 4) == [200, 200, 429, 429]
    response = post(raw, provider)
    assert response.json()["error"]["code"] == "insufficient_quota"
    assert "retry-after" not in response.headers
    provider.reset()
    assert statuses(raw, provider, 3) == [200, 200, 200]


def test_quota_with_an_end_says_when_and_is_fresh_then(raw: httpx.Client) -> None:
    now = [100.0]
    with Lab(["alpha"], answers="echo", clock=lambda: now[0]) as lab:
        provider = lab["alpha"]
        provider.quota = quota(1, resets_after=60)
        assert statuses(raw, provider, 1) == [200]
        now[0] += 19.5
        response = post(raw, provider)
        assert (response.status_code, response.headers["retry-after"]) == (429, "41")
        assert response.json()["error"]["code"] == "rate_limit_exceeded"
        now[0] += 40.5
        assert statuses(raw, provider, 2) == [200, 429]


def test_quota_counts_only_what_is_served(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    provider.quota = quota(2)
    provider.script(server_error(), ok(), rate_limited(), ok(), ok())
    assert statuses(raw, provider, 5) == [500, 200, 429, 200, 429]
    bad = post(raw, provider, {"model": "m"})
    assert bad.status_code == 400


def test_quota_is_exact_under_concurrency(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].quota = quota(5)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: post(raw, provider_lab["alpha"]).status_code, range(30)))
    assert seen.count(200) == 5


def test_lab_reset_makes_every_provider_as_new(provider_lab: Lab, raw: httpx.Client) -> None:
    provider_lab["alpha"].stop()
    provider_lab["beta"].fault = server_error()
    provider_lab["gamma"].quota = quota(0)
    statuses(raw, provider_lab["beta"], 1)
    provider_lab.reset()
    assert [provider.request_count for provider in provider_lab] == [0, 0, 0]
    assert [statuses(raw, provider, 1) for provider in provider_lab] == [[200]] * 3


def test_stopped_lab_leaves_no_thread_and_no_open_port(raw: httpx.Client) -> None:
    lab = Lab(["alpha", "beta"], answers="echo", control_port=0)
    with lab, ThreadPoolExecutor(1) as pool:
        lab["alpha"].script(hang())
        waiting = pool.submit(post, raw, lab["alpha"])
        lab["alpha"].wait_for_requests(1)
        post(raw, lab["beta"])
        lab["beta"].stop()
        assert lab_threads(lab)
        lab.stop()
        assert isinstance(waiting.exception(timeout=10), httpx.TransportError)
        assert lab_threads(lab) == []
    for provider in lab:
        with pytest.raises(httpx.ConnectError):
            post(raw, provider)


def test_lab_starts_again_on_the_ports_it_had(raw: httpx.Client) -> None:
    lab = Lab(["alpha"], answers="echo")
    with lab:
        url = lab["alpha"].base_url
    with lab:
        assert lab["alpha"].base_url == url
        assert statuses(raw, lab["alpha"], 1) == [200]


def test_fault_set_before_the_start_holds_from_the_start(raw: httpx.Client) -> None:
    lab = Lab(["alpha", "beta"], answers="echo")
    lab["alpha"].fault = overloaded()
    lab["beta"].fault = refused()
    with lab:
        assert statuses(raw, lab["alpha"], 1) == [503]
        with pytest.raises(httpx.ConnectError):
            post(raw, lab["beta"])
        lab["beta"].start()
        assert statuses(raw, lab["beta"], 1) == [200]


def test_provider_of_a_lab_that_does_not_run_says_so() -> None:
    lab = Lab(["alpha"], answers="echo")
    with pytest.raises(LabError, match="start the lab first"):
        _ = lab["alpha"].base_url
    with pytest.raises(LabError, match="start the lab first"):
        lab["alpha"].start()


def test_taken_port_is_named_and_nothing_is_left_open(provider_lab: Lab) -> None:
    taken = provider_lab["alpha"].port
    lab = Lab(["one", "two"], answers="echo", ports=[0, taken])
    with pytest.raises(LabError, match=f"'two' cannot listen on 127.0.0.1:{taken}"):
        lab.start()
    assert not lab["one"].is_listening
    assert lab_threads(lab) == []


def test_port_of_a_stopped_provider_stays_its_own(provider_lab: Lab) -> None:
    provider_lab["alpha"].stop()
    with socket.socket() as rival, pytest.raises(OSError, match="in use"):
        rival.bind(("127.0.0.1", provider_lab["alpha"].port))
    provider_lab["alpha"].start()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lab([]),
        lambda: Lab("alpha"),
        lambda: Lab(["a/b"]),
        lambda: Lab(["a", "a"]),
        lambda: Lab(["a"], ports=[1, 2]),
        lambda: Lab(["a"], answers="parrot"),  # type: ignore[arg-type]  # this is the mistake
    ],
)
def test_lab_that_makes_no_sense_is_refused(make: Callable[[], Lab]) -> None:
    with pytest.raises(ValueError, match=r"found|provider name"):
        make()


def test_unknown_provider_is_answered_with_those_there_are(provider_lab: Lab) -> None:
    with pytest.raises(KeyError, match="alpha, beta, gamma"):
        provider_lab["delta"]
