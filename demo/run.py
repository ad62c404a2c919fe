"""Kill the provider that is serving, and see that the answers go on.

``make demo`` runs it against three providers on this machine; ``make demo CONFIG=my.yaml`` against
your own, where a model is taken out of service instead of being killed. Exits with 1 and says
which step missed, if any did.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import litellm
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from capability_router import (
    CapabilityRouter,
    ConfigurationError,
    Decision,
    EventType,
    RoutingEvent,
)
from capability_router.lab import Lab, smollm_is_installed
from langchain_capability_router import ChatCapabilityRouter
from litellm_capability_router import attach

CAPABILITY = "chat-completion"
TOPICS = ("rain", "tea", "trains")
PATIENCE_S = 15.0

litellm.suppress_debug_info = True
console = Console(width=100, highlight=False)


@dataclass
class Hosts:
    """The two ways to ask: a LangChain chain and a LiteLLM Router, over one router."""

    router: CapabilityRouter
    misses: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        prompt = ChatPromptTemplate.from_template("Say one short sentence about {topic}.")
        chat = ChatCapabilityRouter(router=self.router, capability=CAPABILITY)
        self.chain = prompt | chat | StrOutputParser()
        self.litellm_router = litellm.Router(model_list=[])
        attach(self.litellm_router, self.router)

    def by_langchain(self, topic: str) -> str:
        """Ask through the chain."""
        return self.chain.invoke({"topic": topic})

    def by_litellm(self, topic: str) -> str:
        """Ask through the LiteLLM Router."""
        messages = [{"role": "user", "content": f"Say one short sentence about {topic}."}]
        answer: Any = self.litellm_router.completion(model=CAPABILITY, messages=messages)
        return str(answer.choices[0].message.content)

    def ask_all(self, step: str) -> set[str]:
        """Ask both hosts about every topic; returns who served."""
        served: set[str] = set()
        for name, ask in (("LangChain", self.by_langchain), ("LiteLLM", self.by_litellm)):
            for topic in TOPICS:
                served.add(self.ask(step, name, ask, topic))
        return served

    def ask(self, step: str, host: str, ask: Callable[[str], str], topic: str) -> str:
        """Ask once, and show the answer and who gave it."""
        before = len(self.router.decisions)
        try:
            text = " ".join(ask(topic).split())
        except Exception as error:  # noqa: BLE001 - the demo reports every miss and goes on
            self.misses.append(f"{step}: {host} got no answer: {error}")
            return "nobody"
        made = self.router.decisions[before:]
        served = (made[-1].served_by if made else None) or "nobody"
        self.expect(bool(text), f"{step}: {host} got an empty answer from {served}")
        shown = textwrap.shorten(text, 70, placeholder=" …")
        console.print(f"  {host:9} [cyan]{escape(served):14}[/] {escape(shown)}{failed(made)}")
        return served

    def expect(self, holds: bool, miss: str) -> None:
        """Note a miss unless something holds."""
        if not holds:
            self.misses.append(miss)


def failed(made: list[Decision]) -> str:
    """Return what was tried before the model that served, as a line of its own."""
    before = [f"{a.model}: {a.kind}" for d in made for a in d.attempts if a.kind is not None]
    return f"\n{'':28}[dim]after {escape(', '.join(before))}[/]" if before else ""


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, help="your own router.yaml")
    config: Path | None = parser.parse_args().config
    if config is not None:
        try:
            router = CapabilityRouter.from_yaml(config)
        except ConfigurationError as error:
            console.print(f"[red]missed:[/] the configuration cannot be used\n{escape(str(error))}")
            return 1
        return finish(show_own(router))
    with laboratory() as lab:
        return finish(show_lab(lab))


@contextmanager
def laboratory() -> Iterator[Lab]:
    """Start the providers and put their addresses where the configuration looks for them."""
    with Lab(["alpha", "beta", "gamma"]) as lab:
        console.print("Three providers on this machine; gamma is the last resort.")
        os.environ["LAB_KEY"] = "any-key-will-do"
        for provider in lab:
            os.environ[f"{provider.name.upper()}_URL"] = provider.base_url
            console.print(f"  provider {provider.name:6} {provider.base_url}")
        source = "SmolLM2-135M: real tokens, not advice" if smollm_is_installed() else "an echo"
        console.print(f"  answers come from {source}\n")
        yield lab


def show_lab(lab: Lab) -> Hosts:
    """Kill and revive the serving provider of the lab."""
    hosts = Hosts(CapabilityRouter.from_yaml(Path(__file__).with_name("router.yaml")))
    watch(hosts.router)
    heading("1. All is well")
    first = hosts.ask_all("all is well")
    hosts.expect(len(first) == 1, f"one model should serve while all is well, not {sorted(first)}")
    serving = min(first)
    provider = lab[serving.partition("/")[0]] if "/" in serving else lab["alpha"]

    heading(f"2. {provider.name} is killed: nothing listens at its port any more")
    provider.stop()
    second = hosts.ask_all("killed")
    hosts.expect(serving not in second, f"killed: {serving} cannot have served")

    heading(f"3. {provider.name} is revived; nobody tells the router")
    provider.start()
    hosts.expect(comes_back(hosts, serving), f"revived: {serving} did not serve within 15 s")
    third = hosts.ask_all("revived")
    hosts.expect(third == {serving}, f"revived: traffic should be back at {serving}, not {third}")

    counts = ", ".join(f"{p.name} {p.request_count}" for p in lab)
    console.print(f"\n  requests that the providers counted: {counts}")
    return hosts


def comes_back(hosts: Hosts, model: str) -> bool:
    """Ask once in a while until the model serves again."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        if hosts.ask("revived", "LangChain", hosts.by_langchain, "hope") == model:
            return True
        time.sleep(0.5)
    return False


def show_own(router: CapabilityRouter) -> Hosts:
    """Take the serving model of the user's own configuration out of service and back."""
    hosts = Hosts(router)
    watch(router)
    heading("1. Your providers")
    serving = min(hosts.ask_all("your providers"))
    if serving == "nobody":
        return hosts
    heading(f"2. {serving} is taken out of service")
    router.deactivate(serving)
    if router.pool(CAPABILITY).get_active_models():
        hosts.expect(serving not in hosts.ask_all("out of service"), f"{serving} served on standby")
    else:
        console.print("  it is the only model: there is nothing to fail over to")
    heading(f"3. {serving} is back")
    router.recover(serving)
    hosts.ask_all("back")
    return hosts


def watch(router: CapabilityRouter) -> None:
    """Show each change of a pool as it happens."""
    shown = {
        EventType.MODEL_DEACTIVATED: "[red]rests[/]",
        EventType.MODEL_ACTIVATED: "[green]is back[/]",
        EventType.PROBE_STARTED: "[yellow]gets one trial request[/]",
        EventType.PROBE_FAILED: "[red]rests on: the trial failed[/]",
    }

    def show(event: RoutingEvent) -> None:
        if event.type in shown:
            why = f" ({event.reason})" if event.type is EventType.MODEL_DEACTIVATED else ""
            console.print(f"  [bold]pool {event.pool}[/]: {event.model} {shown[event.type]}{why}")

    router.emitter.subscribe(show)


def heading(text: str) -> None:
    """Separate the steps."""
    console.print(f"\n[bold]{escape(text)}[/]")


def finish(hosts: Hosts) -> int:
    """Show the decisions and the verdict; returns the exit code."""
    console.print(table(hosts.router.decisions))
    for miss in dict.fromkeys(hosts.misses):
        console.print(f"[red]missed:[/] {escape(miss)}")
    if not hosts.misses:
        console.print("[green]every request was answered[/]")
        console.print("Next: make demo CONFIG=my.yaml, with a file as the README shows it.")
    return 1 if hosts.misses else 0


def table(decisions: list[Decision]) -> Table:
    """Return the decisions as a table, one row each."""
    rows = Table(title="Decisions", title_justify="left")
    for column in ("#", "capability", "pool", "attempts", "served by"):
        rows.add_column(column)
    for number, decision in enumerate(decisions, start=1):
        attempts = " → ".join(
            f"{a.model} {a.kind or 'ok'}{' (trial)' if a.probe else ''} {a.latency_s * 1000:.0f} ms"
            for a in decision.attempts
        )
        served = decision.served_by or "nobody"
        rows.add_row(str(number), decision.capability, decision.pool or "", attempts, served)
    return rows


if __name__ == "__main__":
    sys.exit(main())
