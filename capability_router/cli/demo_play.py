"""Plays the demo: one scene after the other, each with its requests."""

from __future__ import annotations

from contextlib import nullcontext

from rich.live import Live
from rich.markup import escape

from capability_router.cli.demo_scenes import PROVIDERS, Scene, router_of_lab, scenes
from capability_router.cli.demo_stage import JsonStage, Stage, TextStage
from capability_router.cli.terminal import counted, output
from capability_router.engine.errors import CapabilityRouterError
from capability_router.lab import Lab
from capability_router.router import CapabilityRouter
from capability_router.watching.sources import RouterSource

__all__ = ["play"]

_READING_S = 1.0
"""How long a scene stands still in a terminal, for people to read it."""
_MARGIN_S = 0.05
"""What a wait for a trial lasts longer than it has to: the clock may be coarse."""

_NEXT = """\
Next:
  capability-router lab            serve such providers to your own code
  capability-router check FILE     look at a configuration; README.md has a first one
  capability-router probe FILE     call each of its models once
  capability-router simulate FILE  try it in simulated worlds, beside other routers"""


def play(*, as_json: bool) -> int:
    """Play all scenes; return how many requests got no answer.

    Args:
        as_json: Whether it is shown as JSON.

    Raises:
        LabError, OSError: If the providers cannot be started.
    """
    with Lab(PROVIDERS, answers="echo") as lab:
        return _played(lab, as_json=as_json)


def _played(lab: Lab, *, as_json: bool) -> int:
    router = router_of_lab(lab)
    if as_json:
        return _all_scenes(lab, router, JsonStage())
    console = output()
    console.print(
        f"[bold]{len(lab)} providers on this machine[/], real HTTP, answers that echo."
        " The application asks for chat-completion and names no provider."
    )
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with live or nullcontext():
        missed = _all_scenes(lab, router, TextStage(console, live))
    if missed:
        console.print(f"\n[red]{escape(counted(missed, 'request'))} got no answer[/]")
    else:
        console.print("\n[green]Every request was answered.[/]")
    console.print(f"\n{_NEXT}")
    return missed


def _all_scenes(lab: Lab, router: CapabilityRouter, stage: Stage) -> int:
    source = RouterSource(router)
    stage.take(source.poll())
    missed = 0
    for scene in scenes(lab, router):
        stage.begin(scene.title)
        scene.prepare()
        if scene.waits:
            stage.pause(_until_trials_s(router))
        missed += _requests(scene, stage, source)
        stage.end()
        stage.pause(_READING_S if stage.is_read else 0.0)
    return missed


def _requests(scene: Scene, stage: Stage, source: RouterSource) -> int:
    missed = 0
    for request in scene.requests:
        try:
            got = request()
        except CapabilityRouterError as error:
            missed, got = missed + 1, f"an error: {error}"
        stage.take(source.poll())
        stage.answer(got)
    return missed


def _until_trials_s(router: CapabilityRouter) -> float:
    """Return the seconds until every model that is on standby may be tried."""
    resting = [state.until for pool in router.pools for state in pool.get_standby()]
    last = max((until for until in resting if until is not None), default=0.0)
    return max(0.0, last - router.clock.now()) + _MARGIN_S
