"""A rotation policy at work on the members of one pool: who leaves, and who may return.

Knows no request. What the calendar and the clock demand is for ``timetable``.
"""

from __future__ import annotations

from math import inf

from capability_router.engine.deactivation import Verdict
from capability_router.engine.faults import FaultRule, Health
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.outcome import Failure, Outcome
from capability_router.engine.reason import ERRORS, Reason
from capability_router.engine.roster import Roster
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.timing import World

__all__ = ["Rotator"]


class Rotator:
    """Moves the members of a pool as its policy says.

    Args:
        roster: The members.
        policy: When they leave and return; may be replaced.
        world: Clock and source of chance.
    """

    def __init__(self, roster: Roster, policy: RotationPolicy, world: World) -> None:
        self._roster = roster
        self._world = world
        self.policy = policy
        # Latency above which a trial of a slow model has failed; set with each look at the pool.
        self.slow_limit_s = inf

    def failed(
        self, member: Member, failure: Failure, rule: FaultRule, trial: Standby | None, now: float
    ) -> Order | None:
        """Judge a failure of a member.

        Args:
            member: Whose model failed.
            failure: What happened.
            rule: Its row of the fault table.
            trial: The trial it ended, if this pool had handed the model out for one.
            now: Monotonic seconds.

        Returns:
            The order to leave, where there is one.
        """
        verdict = self.policy.deactivation.judge(member.state, failure, rule, now)
        if trial is not None and member.standby is trial:
            return self._failed_trial(member, trial, failure, rule, verdict, now)
        if verdict is None:
            return None
        if member.standby is not None and failure.retry_after_s is None:
            # The news of an attempt that began before the model left: it says nothing new.
            return None
        order = self.order(member, verdict.reason, now, failure, verdict.whole_provider)
        self.send_away(member, order, now)
        return order

    def succeeded(
        self, member: Member, trial: Standby | None, outcome: Outcome, latency_s: float, now: float
    ) -> None:
        """Lift what a success has disproved, on trial here (``trial``) or elsewhere.

        A person's order, a limit or a planned window is not lifted by one answer.
        """
        standby = member.standby
        if standby is None:
            return
        if standby.order.reason == Reason.SLOW and self._is_still_slow(outcome, latency_s):
            if standby is trial:
                self._roster.fail_trial(member, self.order(member, Reason.SLOW, now), now)
            return
        self._forgive(member, standby)
        own = standby is trial
        self._roster.lift(member, lambda o: o.probe and o.until < inf, now, trial_over=own)

    def lifted_elsewhere(self, member: Member, order: Order, now: float) -> None:
        """Lift an order that another process has found to be over."""
        if member.standby is not None:
            self._forgive(member, member.standby)
            self._roster.lift(member, lambda each: each is order, now)

    def provider_recovered(self, member: Member, now: float) -> None:
        """Lift what holds a member for its whole provider."""
        if member.standby is not None:
            self._forgive(member, member.standby)
            self._roster.lift(member, lambda order: order.whole_provider, now)

    def trial_returned(self, member: Member, trial: Standby, now: float) -> None:
        """Note that a trial ended without a result: it is due as it was before."""
        if member.standby is trial:
            self._roster.return_trial(member, now)

    def take_back(self, member: Member, now: float) -> None:
        """Move a member back to active; what it did wrong before is forgotten."""
        if member.standby is not None:
            self._forgive(member, member.standby)
            self._roster.activate(member, now)
        else:
            member.state.forgive()

    def send_away(self, member: Member, order: Order, now: float) -> None:
        """Move a member to standby, or spare it where the pool may lose no more for errors."""
        ejected = member.standby is None and order.reason in ERRORS
        if ejected and self._roster.ejected >= self._may_lose():
            self._roster.spare(member, order, now)
        else:
            self._roster.send_away(member, order, now, ejected=ejected)

    def keep_enough(self, now: float) -> None:
        """Bring back whoever is due first while more are ejected than the pool may lose.

        That can only be where other members have left the pool for good.
        """
        while self._roster.ejected > self._may_lose():
            first = min(self._roster.ejected_members(), key=lambda each: each[1].order.until)
            member, order = first[0], first[1].order
            self._roster.activate(member, now)
            self._roster.spare(member, order, now)

    def order(
        self,
        member: Member,
        reason: str,
        now: float,
        failure: Failure | None = None,
        whole_provider: bool = False,
    ) -> Order:
        """Work out until when a member stays away, and let the next time grow."""
        recovery = self.policy.recovery
        if member.standby is None:
            member.step = recovery.steps_left(member.step, now - member.active_since)
        seconds = recovery.standby_s(reason, failure, member.step, self._world)
        ours = failure is not None or reason in ERRORS
        if ours and (failure is None or not failure.retry_after_s):
            member.step += 1
        stated = failure is not None and bool(failure.retry_after_s)
        return Order(reason, now + seconds, whole_provider, stated=stated)

    def _is_still_slow(self, outcome: Outcome, latency_s: float) -> bool:
        slow = self.policy.slow
        measured_s = outcome.first_token_s if slow is not None and slow.first_token else latency_s
        return measured_s is not None and measured_s > self.slow_limit_s

    def _forgive(self, member: Member, standby: Standby) -> None:
        member.state.forgive()
        if standby.order.reason == Reason.SLOW:
            member.state.forget_latency()

    def _failed_trial(
        self,
        member: Member,
        trial: Standby,
        failure: Failure,
        rule: FaultRule,
        verdict: Verdict | None,
        now: float,
    ) -> Order | None:
        if verdict is None and rule.health is Health.UNTOUCHED:
            self._roster.return_trial(member, now)
            return None
        reason = verdict.reason if verdict else str(Reason.ERROR_THRESHOLD)
        if reason in ERRORS and trial.order.until > now:
            # A trial in panic showed what was known: it must not lengthen the standby.
            self._roster.return_trial(member, now, failed=True)
            return None
        whole_provider = verdict is not None and verdict.whole_provider
        order = self.order(member, reason, now, failure, whole_provider)
        self._roster.fail_trial(member, order, now)
        return order

    def _may_lose(self) -> int:
        return max(1, int(self.policy.max_ejected * len(self._roster.members)))
