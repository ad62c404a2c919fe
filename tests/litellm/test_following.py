"""Models come, stay and go with the deployments that declare them, and are called nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import litellm
import pytest
from litellm.types.router import Deployment

from capability_router import (
    CapabilityRouter,
    FailureKind,
    Model,
    Priority,
    Provider,
    RotationPolicy,
    Secret,
    UnknownCapabilityError,
)
from capability_router.lab import Lab, rate_limited
from litellm_capability_router import Attachment, attach, capability_model_list
from tests.connections import connections
from tests.litellm.surfaces import CHAT, QUESTION, Surface, provided, text_of

LOGGER = "litellm_capability_router.attachment"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab whose last provider stands where OpenAI would be, with the environment's key."""
    with Lab(["alpha", "beta", "vendor"], answers="echo") as lab, connections():
        monkeypatch.setenv("OPENAI_API_BASE", lab["vendor"].base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-environment")
        yield lab
        assert lab["vendor"].request_count == 0


@pytest.fixture
def router() -> CapabilityRouter:
    # What is declared of the vendor is not asked for models that have deployments.
    vendor = Provider("openai", api_key=Secret("key-of-the-vendor"))
    return CapabilityRouter(providers=[vendor], policy=RotationPolicy(selection=Priority))


def deployment(lab: Lab, name: str, id_: str, **info: Any) -> dict[str, Any]:
    params = {"model": "openai/m", "api_base": lab[name].base_url, "api_key": f"key-{name}"}
    info = {"id": id_, "capabilities": ["chat-completion"], **info}
    return {"model_name": f"group-{id_}", "litellm_params": params, "model_info": info}


def hosting(*deployments: dict[str, Any]) -> Any:
    return litellm.Router(model_list=list(deployments), num_retries=0)


def add(host: Any, made: dict[str, Any]) -> None:
    host.add_deployment(Deployment(**made))


def ids(router: CapabilityRouter) -> list[str]:
    return [model.id for model in router.models]


def counts(lab: Lab) -> list[int]:
    return [provider.request_count for provider in lab]


def test_model_of_another_router_is_called_as_that_router_has_it(
    lab: Lab, router: CapabilityRouter, ask: Surface
) -> None:
    first, second = hosting(deployment(lab, "alpha", "a")), hosting(deployment(lab, "beta", "b"))
    attach(first, router)
    attach(second, router)
    lab["alpha"].fault = rate_limited()
    assert "beta" in ask(first)
    assert (lab["beta"].requests[0].body or {})["model"] == "m"


def test_provider_calls_declared_models_as_their_deployments_say(
    lab: Lab, router: CapabilityRouter, ask: Surface
) -> None:
    attach(hosting(deployment(lab, "alpha", "a")), router)
    assert "alpha" in ask(provided(router))


def test_deployment_that_has_gone_is_passed_over_and_not_blamed(
    lab: Lab, router: CapabilityRouter, ask: Surface
) -> None:
    host = hosting(deployment(lab, "alpha", "a"), deployment(lab, "beta", "b"))
    attach(host, router)
    functions = provided(router)
    assert "alpha" in ask(functions)
    host.delete_deployment("a")
    assert "beta" in ask(functions)
    gone, served = router.decisions[-1].attempts
    assert (gone.model, gone.kind, served.model) == ("a", FailureKind.UNSUPPORTED, "b")
    assert (router.state("a").consecutive_failures, router.pool(CHAT).get_standby()) == (0, [])
    assert counts(lab) == [1, 1, 0]


def test_deployment_that_goes_while_it_answers_has_answered(
    lab: Lab, router: CapabilityRouter
) -> None:
    host = hosting(deployment(lab, "alpha", "a"))
    attach(host, router)
    usage = {"stream_options": {"include_usage": True}}
    chunks = host.completion(model=CHAT, messages=QUESTION, stream=True, **usage)
    first = text_of(next(chunks))
    host.delete_deployment("a")
    assert "alpha" in first + "".join(map(text_of, chunks))
    assert [each.kind for each in router.decisions[-1].attempts] == [None]
    assert router.state("a").output_tokens > 0


def test_model_list_holds_what_the_deployments_say(lab: Lab, router: CapabilityRouter) -> None:
    attach(hosting(deployment(lab, "alpha", "a")), router)
    plain = hosting(*capability_model_list(router))
    assert "alpha" in plain.completion(model="a", messages=QUESTION).choices[0].message.content


def test_detach_drops_what_deployments_declared_and_nothing_else(
    lab: Lab, router: CapabilityRouter
) -> None:
    router.register(Model("own/m", ("ocr",)))
    host = hosting(deployment(lab, "alpha", "a"))
    attachment = attach(host, router)
    attachment.detach()
    assert ids(router) == ["own/m"]
    add(host, deployment(lab, "beta", "b"))
    attachment.serves("chat-completion")
    attachment.refresh()
    assert ids(router) == ["own/m"]


def test_what_one_router_drops_stays_where_another_has_it(
    lab: Lab, router: CapabilityRouter
) -> None:
    shared = deployment(lab, "alpha", "a")
    first, second = hosting(shared), hosting(shared)
    attachment = attach(first, router)
    attach(second, router)
    attachment.detach()
    answer = second.completion(model=CHAT, messages=QUESTION)
    assert "alpha" in answer.choices[0].message.content
    assert ids(router) == ["a"]


def test_model_that_is_another_routers_by_now_is_not_dropped(
    lab: Lab, router: CapabilityRouter
) -> None:
    shared = deployment(lab, "alpha", "a")
    first, second = hosting(shared), hosting(shared)
    attachment = attach(first, router)
    attach(second, router)
    router.unregister("a")
    assert second.completion(model=CHAT, messages=QUESTION)
    attachment.detach()
    assert ids(router) == ["a"]


def test_what_a_person_has_dropped_stays_away(lab: Lab, router: CapabilityRouter) -> None:
    host = hosting(deployment(lab, "alpha", "a"), deployment(lab, "beta", "b"))
    attach(host, router)
    router.unregister("a")
    assert host.completion(model=CHAT, messages=QUESTION)
    assert ids(router) == ["b"]
    router.register(Model("a", ("ocr",), provider="elsewhere"))
    host.delete_deployment("a")
    assert host.completion(model=CHAT, messages=QUESTION)
    assert ids(router) == ["b", "a"]


def test_router_that_takes_the_place_of_another_keeps_the_state_and_the_names(
    lab: Lab, router: CapabilityRouter
) -> None:
    listed = [deployment(lab, "alpha", "a"), deployment(lab, "beta", "b")]
    before = Attachment(hosting(*listed), router)
    router.deactivate("b", "manual")
    moved = {**deployment(lab, "alpha", "b"), "litellm_params": listed[1]["litellm_params"]}
    host = hosting(moved)
    Attachment(host, router, after=before)
    before.detach()
    assert [(model.id, model.provider) for model in router.models] == [("b", "openai-2")]
    assert [each.model for each in router.pool(CHAT).get_standby()] == ["b"]
    router.recover("b")
    answer = provided(router).completion(model=CHAT, messages=QUESTION)
    assert "beta" in answer.choices[0].message.content


def test_mistake_in_a_router_that_takes_over_is_logged(
    lab: Lab, router: CapabilityRouter, caplog: pytest.LogCaptureFixture
) -> None:
    before = Attachment(hosting(deployment(lab, "alpha", "a")), router)
    listed = [deployment(lab, "alpha", "typo", features=["visoin"]), deployment(lab, "beta", "b")]
    with caplog.at_level(logging.ERROR, LOGGER):
        Attachment(hosting(*listed), router, after=before)
    assert "'typo'" in caplog.text
    assert ids(router) == ["b"]


@pytest.mark.parametrize("info", [{"features": ["visoin"]}, {"capabilities": ["chat-completoin"]}])
def test_mistake_in_one_deployment_stops_no_other_and_is_logged_once(
    lab: Lab, router: CapabilityRouter, caplog: pytest.LogCaptureFixture, info: dict[str, Any]
) -> None:
    host = hosting(deployment(lab, "alpha", "old"))
    attachment = attach(host, router)
    add(host, deployment(lab, "beta", "typo", **info))
    add(host, deployment(lab, "beta", "good"))
    host.delete_deployment("old")
    with caplog.at_level(logging.ERROR, LOGGER):
        for _ in range(3):
            answer = host.completion(model=CHAT, messages=QUESTION)
            assert "beta" in answer.choices[0].message.content
        add(host, deployment(lab, "beta", "another"))
        assert host.completion(model=CHAT, messages=QUESTION)
    assert ids(router) == ["good", "another"]
    told = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert ["'typo'" in line for line in told] == [True]
    with pytest.raises((ValueError, UnknownCapabilityError), match="unknown"):
        attachment.refresh()
    host.delete_deployment("typo")
    attachment.refresh()


def test_attach_that_fails_leaves_no_model_behind(lab: Lab, router: CapabilityRouter) -> None:
    listed = [deployment(lab, "alpha", "a"), deployment(lab, "beta", "b", features=["visoin"])]
    host = hosting(*listed)
    before = vars(host).copy()
    with pytest.raises(ValueError, match=r"'b'.*visoin"):
        attach(host, router)
    assert vars(host).keys() == before.keys()
    assert ids(router) == []


def test_deployment_that_goes_neither_wakes_nor_renames_another(
    lab: Lab, router: CapabilityRouter
) -> None:
    host = hosting(deployment(lab, "alpha", "a"), deployment(lab, "beta", "b"))
    attach(host, router)
    router.deactivate("b", "manual")
    host.delete_deployment("a")
    with pytest.raises(litellm.ServiceUnavailableError):
        host.completion(model=CHAT, messages=QUESTION)
    assert [(model.id, model.provider) for model in router.models] == [("b", "openai-2")]
    assert counts(lab) == [0, 0, 0]
