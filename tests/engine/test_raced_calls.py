"""Calls that hedge, break off and go on, in whatever order things happen."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from capability_router.engine.call import Call
from capability_router.engine.hedge import Hedge
from capability_router.engine.outcome import Failure, FailureKind
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import Interruption, RepeatScope, RetryBudget, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import Priority, RoundRobin
from capability_router.engine.steps import Stop, Try, Wait
from tests.engine.building import CHAT, Rig, model
from tests.engine.streaming import prefilling

kinds = st.sampled_from(FailureKind)
legs = st.integers(0, 1)
acts = st.one_of(
    st.just(("hedge",)),
    st.tuples(st.just("fail"), legs, kinds),
    st.tuples(st.just("break"), legs, kinds),
    st.tuples(st.just("fail"), legs, kinds),
    st.tuples(st.just("succeed"), legs),
    st.just(("cancel",)),
    st.tuples(st.just("advance"), st.sampled_from([0.5, 3.0, 12.0])),
)
policies = st.builds(
    RotationPolicy,
    selection=st.sampled_from([Priority, RoundRobin]),
    recovery=st.just(Cooldown(jitter=0.0)),
    hedge=st.just(Hedge(after_s=1.0)),
    retry=st.builds(
        RetryPolicy,
        max_attempts=st.integers(1, 6),
        deadline_s=st.sampled_from([None, 20.0]),
        same_model=st.integers(1, 3),
        scope=st.sampled_from(RepeatScope),
        max_wait_s=st.sampled_from([0.0, 4.0]),
        budget=st.just(RetryBudget(share=1.0, per_s=5.0)),
        on_interruption=st.lists(st.sampled_from(Interruption), max_size=3).map(tuple),
    ),
)


@dataclass
class Played:
    """A call under a random hand, with the attempts of it that are open."""

    rig: Rig
    call: Call
    legs: list[Try] = field(default_factory=list[Try])
    leases: list[Try] = field(default_factory=list[Try])
    over: bool = False

    def act(self, what: tuple[str | int | float | FailureKind, ...]) -> None:
        if self.over:
            return
        if not self.legs:
            self._go_on()
        match what:
            case ("hedge",) if self.legs:
                self._open(self.call.hedge())
            case ("fail" | "break" as how, int(leg), FailureKind() as kind) if self.legs:
                self._fail(self.legs.pop(leg % len(self.legs)), kind, broke=how == "break")
            case ("succeed", int(leg)) if self.legs:
                self.call.succeeded(step=self.legs[leg % len(self.legs)])
                self._end()
            case ("cancel",):
                self.call.cancelled()
                self._end()
            case ("advance", float(seconds)):
                self.rig.clock.advance(seconds)
            case _:
                assert not self.legs

    def _go_on(self) -> None:
        match self.call.next():
            case Try() as step:
                self._open(step)
            case Wait() as pause:
                self.rig.clock.advance(pause.seconds)
            case Stop():
                self._end()

    def _open(self, step: Try | None) -> None:
        if step is not None:
            assert not step.hedge or not (step.lease.probe or step.lease.degraded)
            assert step.model.id not in [leg.model.id for leg in self.legs]
            assert not step.prefill or step.model.features
            self.legs.append(step)
            self.leases.append(step)

    def _fail(self, leg: Try, kind: FailureKind, *, broke: bool) -> None:
        # Only one that was alone may have handed something out.
        alone = not self.legs
        self.call.failed(Failure(kind, error=RuntimeError(kind)), leg)
        if broke and alone:
            self.call.interrupted("text", only_text=True)

    def _end(self) -> None:
        self.legs.clear()
        self.over = True

    def check(self, most: int) -> None:
        assert len(self.leases) <= most
        assert len(self.legs) <= 2
        flying = Counter(leg.model.id for leg in self.legs)
        for each in self.rig.router.models:
            assert self.rig.router.state(each.id).in_flight == flying[each.id]
        assert [step for step in self.leases if step.lease.end is None] == self.legs
        assert len(self.call.attempts) == len(self.leases) - len(self.legs)
        assert sum(leg.lease.probe for leg in self.legs) <= 1


@settings(max_examples=800)
@given(policy=policies, scripts=st.lists(st.lists(acts, max_size=12), min_size=1, max_size=5))
def test_every_lease_of_a_raced_call_ends_exactly_once(
    policy: RotationPolicy, scripts: list[list[tuple[str | int | float | FailureKind, ...]]]
) -> None:
    rig = Rig(*map(prefilling, ("a/x", "b/x", "c/x")), model("d/x"), policy=policy)
    for script in scripts:
        played = Played(rig, rig.router.plan(CHAT))
        for what in [*script, ("cancel",)]:
            played.act(what)
            played.check(policy.retry.max_attempts)
        assert played.over
        decision = rig.router.decisions[-1]
        assert decision.attempts == played.call.attempts
        served = [each for each in decision.attempts if each.kind is None]
        assert [each.model for each in served] == [decision.served_by] * len(served)
    assert len(rig.router.decisions) == len(scripts)
