"""The router that is soaked: eight models of four providers, in pools of every kind."""

from collections.abc import Mapping
from dataclasses import replace

from capability_router import (
    AdaptiveConcurrency,
    CapabilityRouter,
    Cooldown,
    EventEmitter,
    Feature,
    Hedge,
    Interruption,
    Limit,
    Model,
    Provider,
    Reason,
    RetryPolicy,
    RotationPolicy,
    RoundRobin,
    Secret,
    Unit,
    strategy,
)
from capability_router.engine.concurrency import Concurrency
from tests.soak.lab_process import NEVER_GOES_ON

ATTEMPT_S = 2.0
DEADLINE_S = 8.0
HASTE_S = ATTEMPT_S / 5
"""So short that no model is to blame that does not make it, see ``RetryPolicy.is_too_short``."""
MAX_ATTEMPTS = 10
CHAT = "chat-completion"
HASTY = "hasty"
"""The pool that only callers with a deadline of their own ask, and all who have one."""

RETRY = RetryPolicy(
    max_attempts=MAX_ATTEMPTS,
    deadline_s=DEADLINE_S,
    attempt_timeout_s=ATTEMPT_S,
    first_token_timeout_s=1.5,
    stall_timeout_s=1.0,
    trial_timeout_s=0.8,
)
PATIENT = replace(
    RetryPolicy.patient(),
    max_attempts=MAX_ATTEMPTS,
    deadline_s=DEADLINE_S,
    attempt_timeout_s=ATTEMPT_S,
    first_token_timeout_s=1.5,
    stall_timeout_s=1.0,
    trial_timeout_s=0.8,
    max_wait_s=1.0,
    throttled_s=0.1,
)
# Everybody is back within a second: models have to come and go all the time.
BRIEF = Cooldown(
    initial_s=0.2,
    max_s=1.0,
    slow_max_s=1.0,
    reason_cooldowns=dict.fromkeys(
        (Reason.AUTH_FAILURE, Reason.QUOTA_EXHAUSTED, Reason.BILLING, Reason.NOT_FOUND), (0.3, 1.0)
    ),
)
PLAIN = RotationPolicy(selection=RoundRobin, recovery=BRIEF, retry=RETRY)
POOLS = {
    "plain": PLAIN,
    "sticky": replace(PLAIN, selection=strategy("stick-until-failure")),
    "swift": replace(PLAIN, selection=strategy("latency-first"), hedge=Hedge()),
    "hedged": replace(PLAIN, hedge=Hedge(after_s=0.05)),
    "patient": replace(PLAIN, retry=PATIENT),
    "restarting": replace(PLAIN, retry=replace(RETRY, on_interruption=(Interruption.RESTART,))),
    "strict": replace(
        PLAIN,
        retry=replace(RETRY, on_interruption=(Interruption.ERROR,)),
        limits=(Limit(Unit.REQUESTS, 20, window_s=1.0),),
    ),
}

_GOES_ON = frozenset({Feature.STREAMING, Feature.ASSISTANT_PREFILL})


def soaked_router(urls: Mapping[str, str], emitter: EventEmitter) -> CapabilityRouter:
    """Return it, for providers at these addresses."""
    router = CapabilityRouter(
        providers=[
            Provider(
                name,
                base_url=url,
                api_key=Secret("lab"),
                limits=(Limit(Unit.REQUESTS, 40, window_s=1.0),) if name == "gamma" else (),
            )
            for name, url in urls.items()
        ],
        policy=PLAIN,
        emitter=emitter,
    )
    for name in urls:
        may_go_on = _GOES_ON if name != NEVER_GOES_ON else None
        router.register(Model(f"{name}/m", (CHAT,), features=may_go_on))
        router.register(
            Model(f"{name}/n", (CHAT,), features=may_go_on, concurrency=_CONCURRENCY.get(name))
        )
    for pool, policy in {**POOLS, HASTY: PLAIN}.items():
        router.add_pool(pool, CHAT, policy)
    return router


_CONCURRENCY: Mapping[str, Concurrency] = {
    "alpha": AdaptiveConcurrency(initial=4),
    "beta": AdaptiveConcurrency(),
    "delta": 3,
}
