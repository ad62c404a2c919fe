"""Plays one fault through one surface, and looks at it from both sides."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from capability_router import FAULT_TABLE, Health
from capability_router.engine.decision import Decision
from capability_router.lab import LabProvider, server_error
from tests.connections import run
from tests.faults.asking import Asked
from tests.faults.case import Case, always
from tests.faults.hearing import Seen
from tests.faults.stage import LIMIT_S, PRICE, PROFILES, Bench, Stage
from tests.faults.surfaces import SURFACES, Surface

__all__ = ["LEFT", "Report", "check_left", "play", "stage_for", "tried", "warm_up"]


LEFT = "left: alpha cancelled"


@dataclass(frozen=True)
class Report:
    """What has come of one call.

    Attributes:
        outcome: How it ended and what was tried, in the words of the table.
        complaints: What the caller or a provider saw and should not have; empty if all is well.
    """

    outcome: str
    complaints: tuple[str, ...]


def play(case: Case, surface: Surface, profile: str, bench: Bench, seed: int = 7) -> Report:
    """Ask once while the providers are at fault."""
    stage = stage_for(case, profile, bench, seed)
    case.alpha(stage.lab["alpha"])
    case.beta(stage.lab["beta"])
    seen = surface.ask(stage)
    _settle(stage)
    decision = stage.router.decisions[-1]
    expected = case.outcomes()[profile]
    wanted = expected.stream if surface.streamed else expected.whole
    outcome = f"{_ending(seen, stage)}: {tried(decision)}"
    complaints = [] if outcome == wanted else [f"{outcome!r}, not {wanted!r}: {seen.error!r}"]
    complaints += _of_the_answer(case, stage, seen, decision)
    complaints += _of_the_error(stage, seen, decision)
    complaints += _of_the_providers(case, stage, decision)
    complaints += _of_the_accounts(case, stage, seen, decision)
    complaints += _of_the_health(stage, decision)
    complaints += _of_the_waits(case, profile, stage, bench)
    return Report(outcome, tuple(complaints))


def check_left(stage: Stage, seen: Seen) -> Report:
    """Look at both sides of a call whose caller has left in the middle of it."""
    _settle(stage)
    decision = stage.router.decisions[-1]
    outcome = f"{seen.ending}: {tried(decision)}"
    complaints = [] if outcome == LEFT else [f"{outcome!r}, not {LEFT!r}: {seen.error!r}"]
    complaints += _of_the_health(stage, decision)
    for provider in stage.lab:
        endings = [request.ended for request in provider.requests]
        wanted = ["client left"] if provider.name == "alpha" else []
        if endings != wanted:
            complaints.append(f"the requests of {provider.name} have ended as {endings}")
        state = stage.state(provider.name)
        if state.in_flight or state.failures or state.output_tokens:
            complaints.append(f"{provider.name} is left with {state}")
    return Report(outcome, tuple(complaints))


def _settle(stage: Stage) -> None:
    """Wait until no provider is at work, while the event loop closes what nobody holds any more."""
    for provider in stage.lab:
        run(asyncio.to_thread(provider.wait_until_idle))


def stage_for(case: Case, profile: str, bench: Bench, seed: int) -> Stage:
    """Return a router, as the case wants it, and providers that are well."""
    limit_s = LIMIT_S * bench.stretch if case.is_waited_for else None
    deadline_s = None if case.deadline_s is None else case.deadline_s * bench.stretch
    retry = replace(
        PROFILES[profile](limit_s),
        deadline_s=deadline_s,
        on_interruption=(case.on_interruption,),
    )
    asked = Asked.drawn(seed, words=case.asked_words, with_tool=case.with_tool)
    real = deadline_s is not None
    return bench.stage(
        asked, retry, seed, windows=case.windows, continues=case.continues, real=real
    )


def tried(decision: Decision) -> str:
    """Return who was tried, and how each attempt ended."""
    return ", ".join(f"{each.provider} {each.kind or 'served'}" for each in decision.attempts)


def _ending(seen: Seen, stage: Stage) -> str:
    if seen.ending == "complete" and any(map(_prefill, stage.lab)):
        return "continued"
    return seen.ending


def _prefill(provider: LabProvider) -> str:
    """Return what the last request of a provider had of the answer already."""
    if not provider.requests:
        return ""
    messages = (provider.requests[-1].body or {}).get("messages")
    assert isinstance(messages, list)
    last: dict[str, str] = messages[-1]
    return last["content"] if last["role"] == "assistant" else ""


def _of_the_answer(case: Case, stage: Stage, seen: Seen, decision: Decision) -> Iterator[str]:
    """Look for words that are lost, or come twice."""
    first = decision.attempts[-1].provider
    if seen.text.startswith("alpha"):
        first = "alpha"
    whole = stage.asked.answer_of(first)
    if seen.error is not None:
        if not whole.startswith(seen.text):
            yield f"the caller has {seen.text!r}, which is no beginning of the answer"
        return
    right = " ".join(whole.split()[: case.words])
    if seen.text.rstrip() != right:
        yield f"the caller has {seen.text!r} instead of {right!r}"
    if set(seen.finishes) != {case.finish}:
        yield f"finish reasons {seen.finishes}"
    if case.with_tool and [name for name, _ in seen.calls.values()] != ["weather"]:
        yield f"tool calls {seen.calls}"


def _of_the_error(stage: Stage, seen: Seen, decision: Decision) -> Iterator[str]:
    """Look whether an error of ours tells all that was tried, and what the caller has."""
    told = getattr(seen.error, "attempts", decision.attempts)
    if told != decision.attempts:
        yield f"the error tells of {told}"
    if getattr(seen.error, "partial_text", seen.text) != seen.text:
        yield f"the caller has {seen.text!r}, not {getattr(seen.error, 'partial_text', None)!r}"
    if seen.error is not None and "lab-key" in str(seen.error):
        yield "the error tells the key"


def _of_the_providers(case: Case, stage: Stage, decision: Decision) -> Iterator[str]:
    """Look for requests that nobody has planned, and connections that nobody has closed."""
    attempts = Counter(each.provider for each in decision.attempts)
    for provider in stage.lab:
        most = attempts[provider.name] * case.requests_of_one
        if not attempts[provider.name] <= provider.request_count <= most:
            yield f"{provider.name} has {provider.request_count} requests, {most} at most"
        if not all(request.ended for request in provider.requests):
            yield f"{provider.name} still answers"


def _of_the_accounts(case: Case, stage: Stage, seen: Seen, decision: Decision) -> Iterator[str]:
    """Look whether exactly what has served is reported and paid for."""
    served = decision.served_by.partition("/")[0] if decision.served_by else None
    for provider in stage.lab:
        state, tokens = stage.state(provider.name), (0, 0)
        if provider.name == served:
            if not case.tells_usage:
                # LiteLLM counts by itself then.
                continue
            tokens = _tokens(case, stage, seen, provider)
        if (state.input_tokens, state.output_tokens) != tokens:
            found = (state.input_tokens, state.output_tokens)
            yield f"{provider.name} is charged {found} tokens, not {tokens}"
        if state.cost_usd != PRICE.cost_usd(*tokens):
            yield f"{provider.name} is charged {state.cost_usd} USD"
        if state.in_flight:
            yield f"{provider.name} has a lease that has not ended"
        if provider.name == served and seen.error is None:
            if seen.usage != tokens:
                yield f"the caller is told {seen.usage} tokens, not {tokens}"
            if not (seen.served_by or "").endswith(f"model-of-{served}"):
                yield f"the caller is told that {seen.served_by} has served"


def _tokens(case: Case, stage: Stage, seen: Seen, provider: LabProvider) -> tuple[int, int]:
    """Return the tokens that a provider has counted of what it said: the lab counts words."""
    begun = len(_prefill(provider).split())
    called = [f"{name} {arguments}" for name, arguments in seen.calls.values()]
    said = len(" ".join(called).split()) if case.with_tool else case.words - begun
    return stage.asked.tokens + begun, said


def _of_the_health(stage: Stage, decision: Decision) -> Iterator[str]:
    """Look for models that are blamed for what is no fault of theirs."""
    for provider in stage.lab:
        kinds = [each.kind for each in decision.attempts if each.provider == provider.name]
        untouched = all(
            kind is None or FAULT_TABLE[kind].health is Health.UNTOUCHED for kind in kinds
        )
        blamed = provider.name in stage.resting() or stage.state(provider.name).consecutive_failures
        if untouched and blamed:
            yield f"{provider.name} is blamed"


def _of_the_waits(case: Case, profile: str, stage: Stage, bench: Bench) -> Iterator[str]:
    """Look whether a stated wait was kept, in the router's clock, which is the lab's as well."""
    if profile != "patient" or not case.stated_s:
        return
    first, second = (request.at for request in stage.lab["alpha"].requests)
    if second - first < case.stated_s - 1e-6 or bench.clock.slept != [case.stated_s]:
        yield f"asked again after {second - first} s, waits {bench.clock.slept}"


def warm_up(bench: Bench) -> None:
    """Ask once through every surface: the first call of each imports a lot, and makes clients."""
    alpha_fails = always(server_error())
    case = Case("0", "", "", "", alpha=alpha_fails, is_waited_for=True)
    for profile in PROFILES:
        for surface in SURFACES:
            play(case, surface, profile, bench)
    # Looking at all that was imported takes a busy machine as long as a limit here.
    gc.collect()
    gc.freeze()
