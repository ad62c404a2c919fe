"""What people order: of a model or a whole provider, for a time or until it is recovered."""

import pytest

from capability_router.engine.errors import UnknownModelError
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model
from capability_router.router import CapabilityRouter
from capability_router.testing import ManualClock

CHAT = ("chat-completion",)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def router(clock: ManualClock) -> CapabilityRouter:
    router = CapabilityRouter(clock=clock)
    for name in ("alpha/x", "alpha/z", "beta/y"):
        router.register(Model(name, CHAT))
    return router


def active(router: CapabilityRouter, pool: str = "chat-completion") -> list[str]:
    return [model.id for model in router.pool(pool).get_active_models()]


def test_an_order_for_some_time_ends_by_itself(
    router: CapabilityRouter, clock: ManualClock
) -> None:
    router.deactivate("alpha/x", "deploying", for_s=60.0)
    assert active(router) == ["alpha/z", "beta/y"]
    clock.advance(60.0)
    assert active(router) == ["alpha/x", "alpha/z", "beta/y"]


def test_an_order_for_some_time_holds_in_pools_that_come_and_no_longer(
    router: CapabilityRouter, clock: ManualClock
) -> None:
    router.deactivate("alpha/x", for_s=60.0)
    router.add_pool("text", "text-generation")
    assert active(router, "text") == ["alpha/z", "beta/y"]
    clock.advance(60.0)
    router.add_pool("all", "generation")
    assert active(router, "all") == ["alpha/x", "alpha/z", "beta/y"]


def test_a_drained_provider_serves_with_none_of_its_models_also_not_with_new_ones(
    router: CapabilityRouter, clock: ManualClock
) -> None:
    router.drain("alpha", for_s=60.0)
    router.register(Model("alpha/new", CHAT))
    assert active(router) == ["beta/y"]
    clock.advance(60.0)
    router.register(Model("alpha/newer", CHAT))
    assert set(active(router)) == {"alpha/x", "alpha/z", "beta/y", "alpha/new", "alpha/newer"}


def test_a_provider_is_recovered_by_its_name(router: CapabilityRouter) -> None:
    router.drain("alpha")
    router.recover("alpha")
    assert active(router) == ["alpha/x", "alpha/z", "beta/y"]


def test_an_order_about_a_model_in_no_pool_waits_for_one(router: CapabilityRouter) -> None:
    no_alpha = PoolPreferences(excluded_providers=("alpha",))
    router.add_pool("chat", "chat-completion", preferences=no_alpha)
    router.deactivate("alpha/x", "seen from afar")
    router.add_pool("text", "text-generation")
    (standby,) = router.pool("text").get_standby()
    assert (standby.model, standby.reason) == ("alpha/x", "seen from afar")


def test_attempts_in_progress_at_a_drained_provider_end_as_they_will(
    router: CapabilityRouter,
) -> None:
    def answer(model: Model) -> str:
        router.drain("alpha")
        return model.id

    assert router.call("chat-completion", answer) == "alpha/x"
    assert router.state("alpha/x").in_flight == 0
    assert active(router) == ["beta/y"]


def test_who_is_not_there_is_said_with_the_nearest_name(router: CapabilityRouter) -> None:
    with pytest.raises(ValueError, match=r"provider 'alpah' .*nearest: alpha"):
        router.drain("alpah")
    with pytest.raises(UnknownModelError, match="alpha/x"):
        router.recover("alpha/xx")
    with pytest.raises(UnknownModelError):
        router.deactivate("alpha")


@pytest.mark.parametrize("for_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_time_that_is_none_is_refused_and_changes_nothing(
    router: CapabilityRouter, for_s: float
) -> None:
    with pytest.raises(ValueError, match="for_s"):
        router.deactivate("alpha/x", for_s=for_s)
    with pytest.raises(ValueError, match="for_s"):
        router.drain("alpha", for_s=for_s)
    assert active(router) == ["alpha/x", "alpha/z", "beta/y"]
