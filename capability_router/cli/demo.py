"""The command that shows in ten seconds what this is: providers fail, and answers go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from time import sleep
from typing import Annotated
from urllib.error import HTTPError

import typer
from rich.console import Console
from rich.markup import escape

from capability_router import CapabilityRouter, Decision, Model, RetryPolicy, RotationPolicy
from capability_router.cli.terminal import output, print_json
from capability_router.engine.deactivation import ErrorThreshold
from capability_router.engine.recovery import Cooldown
from capability_router.engine.state import StandbyState
from capability_router.engine.timing import spell
from capability_router.lab import Lab, hang, rate_limited, server_error
from capability_router.registry import strategy

__all__ = ["demo"]

_NODE = "chat-completion"
_JSON = {"content-type": "application/json"}
_NAMES = ("alpha", "beta", "gamma")
_TIMEOUT_S = 1.0
_WAIT_S = 2
_NEXT = """\
Next:  capability-router lab            serves providers that fail on demand, for your own code
       capability-router check FILE     looks for what will hurt in a configuration
       capability-router simulate FILE  tries one in simulated worlds, beside other routers"""


@dataclass
class _Step:
    """One thing that happens to the providers, and what becomes of the requests after it."""

    what: str
    decisions: list[Decision] = field(default_factory=list[Decision])
    states: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def is_well(self) -> bool:
        return all(decision.served_by for decision in self.decisions)

    def as_dict(self) -> dict[str, object]:
        return {
            "what": self.what,
            "states": self.states,
            "decisions": [decision.as_dict() for decision in self.decisions],
        }


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show providers that fail, and answers that go on; needs no key and no configuration."""
    console = Console(quiet=True) if as_json else output()
    console.print("Three providers on this machine; alpha is preferred, then beta, then gamma.")
    console.print(f"The application asks for [bold]{_NODE}[/], not for a model.")
    with Lab(_NAMES, answers="echo") as lab:
        steps: list[_Step] = []
        for step in _Demo(lab).steps():
            _show(console, len(steps) + 1, step)
            steps.append(step)
    made = [decision for step in steps for decision in step.decisions]
    answered = sum(decision.served_by is not None for decision in made)
    if as_json:
        told = [step.as_dict() for step in steps]
        print_json({"requests": len(made), "answered": answered, "steps": told})
    else:
        console.print(f"\n[bold]{answered} of {len(made)}[/] requests were answered.\n\n{_NEXT}")
    if answered < len(made):
        raise typer.Exit(1)


class _Demo:
    """Breaks providers one after the other, and asks after each.

    Args:
        lab: The providers, running.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._router = CapabilityRouter()
        for name in _NAMES:
            self._router.register(Model(f"{name}/chat", (_NODE,)))
        self._router.add_pool(
            "chat",
            _NODE,
            RotationPolicy(
                selection=strategy("priority"),
                deactivation=ErrorThreshold(consecutive=1),
                recovery=Cooldown(initial_s=_WAIT_S),
                retry=RetryPolicy(attempt_timeout_s=_TIMEOUT_S),
                max_ejected=1.0,
            ),
        )

    def steps(self) -> Iterator[_Step]:
        """Play it; each step takes a second or two."""
        alpha, beta = self._lab["alpha"], self._lab["beta"]
        yield self._step("All is well", lambda: None)
        yield self._step(
            f"alpha has had enough: it says 429, and to come again in {_WAIT_S} s",
            lambda: setattr(alpha, "fault", rate_limited(retry_after=_WAIT_S)),
        )
        yield self._step(
            "beta breaks: HTTP 500", lambda: setattr(beta, "fault", server_error()), requests=4
        )
        yield self._step(
            "alpha is well again, and its time is over", lambda: self._later(alpha.heal)
        )
        yield self._step(
            f"alpha hangs: no answer within {_TIMEOUT_S:g} s",
            lambda: setattr(alpha, "fault", hang()),
            requests=4,
        )
        yield self._step("Everybody is well again", lambda: self._later(alpha.heal, beta.heal))

    def _step(self, what: str, happen: Callable[[], object], requests: int = 3) -> _Step:
        happen()
        before = len(self._router.decisions)
        for _ in range(requests):
            try:
                self._router.call(_NODE, self._ask)
            except Exception:  # noqa: BLE001, S112 - the decision tells, and the demo goes on
                continue
        return _Step(what, self._router.decisions[before:], self._states())

    def _later(self, *heal: Callable[[], object]) -> None:
        for each in heal:
            each()
        sleep(_WAIT_S * 1.3)

    def _ask(self, model: Model) -> object:
        body = {"model": model.name, "messages": [{"role": "user", "content": "hello"}]}
        port = self._lab[model.provider].port
        with closing(HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), _JSON)
            with connection.getresponse() as answer:
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    # The exception of urllib, which the router reads as those of all clients.
                    raise HTTPError(
                        connection.host, answer.status, answer.reason, answer.headers, None
                    )
                return json.load(answer)

    def _states(self) -> dict[str, str]:
        away = {each.model: each for each in self._router.pool("chat").get_standby()}
        now = self._router.clock.now()
        return {
            model.id: _standing(away[model.id], now) if model.id in away else "active"
            for model in self._router.models
        }


def _standing(state: StandbyState, now: float) -> str:
    left_s = 0.0 if state.until is None else max(0.0, state.until - now)
    return f"standby: {state.reason.replace('_', ' ')}, tried again in {spell(left_s)}"


def _show(console: Console, number: int, step: _Step) -> None:
    console.print(f"\n[bold]{number}. {escape(step.what)}[/]")
    for decision in step.decisions:
        failed = [f"{each.model}: {each.kind}" for each in decision.attempts if each.kind]
        after = f"  [dim]after {escape(', '.join(failed))}[/]" if failed else ""
        served = decision.served_by
        who = f"[cyan]{escape(served)}[/]" if served else "[red]nobody[/]"
        console.print(f"   request → {who}{after}")
    for model, state in step.states.items():
        sign = "[green]●[/]" if state == "active" else "[yellow]○[/]"
        console.print(f"   {sign} {escape(model):12} {escape(state)}")
