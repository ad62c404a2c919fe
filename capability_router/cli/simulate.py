"""The command that tries a configuration in simulated worlds, beside the rules of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capability_router.cli.progress import progress_bar
from capability_router.cli.terminal import failure, print_json, print_page, router_of

if TYPE_CHECKING:
    from capability_router.router import CapabilityRouter
    from capability_router.simulation.scenario import Scenario
    from capability_router.simulation.scene import Policy

__all__ = ["simulate"]

_POOLS = "your pools"


def simulate(
    config: Annotated[Path, typer.Argument(help="The YAML file.")],
    scenario: Annotated[
        Path | None, typer.Option(help="YAML file with the workload and the providers' behaviour.")
    ] = None,
    capability: Annotated[
        str | None, typer.Option(help="Node that is asked for; default: chat-completion.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests in each world; default: 20,000.")
    ] = None,
    per_s: Annotated[
        float | None, typer.Option(min=1e-6, help="Requests per second; default: 0.01.")
    ] = None,
    streamed: Annotated[
        bool, typer.Option("--streamed", help="Read the answers as they are written.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many worlds.")] = 5,
    alone: Annotated[
        bool, typer.Option("--alone", help="Leave out the rules of other libraries.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try a configuration in simulated worlds, beside the rules of others; nobody is called.

    A scenario file says it all; without one the options say what is asked for, and every provider
    has outages as they were published of a large API: in three weeks, about one.
    """
    # Here and not above: pydantic takes longer to import than all commands.
    from capability_router.simulation import compare  # noqa: PLC0415 - said above
    from capability_router.simulation.scenario import load_scenario  # noqa: PLC0415 - as above

    router = router_of(config)
    try:
        if scenario is None:
            scene = _published(router, capability, requests, per_s, streamed=streamed)
        elif capability or requests or per_s or streamed:
            raise failure("a scenario says what is asked for: leave the other options out")
        else:
            scene = load_scenario(scenario)
        policies = _policies(router, alone=alone)
        with progress_bar(f"simulating {len(policies)} policies") as tell:
            told = compare(policies, scene.workload, scene.providers, range(seeds), progress=tell)
    except (KeyError, ValueError) as error:
        raise failure(error) from None
    if as_json:
        print_json(told.as_dict())
    else:
        print_page(told.page())


def _published(
    router: CapabilityRouter,
    capability: str | None,
    requests: int | None,
    per_s: float | None,
    *,
    streamed: bool,
) -> Scenario:
    from capability_router.simulation import (  # noqa: PLC0415 - as above
        PUBLISHED_99_58,
        Poisson,
        SimulatedProvider,
        Workload,
    )
    from capability_router.simulation.scenario import Scenario  # noqa: PLC0415 - as above

    workload = Workload(
        capability or "chat-completion",
        requests or 20_000,
        Poisson(per_s or 0.01),
        streamed=streamed,
    )
    down = SimulatedProvider(outages=(PUBLISHED_99_58,))
    return Scenario(workload, {model.provider: down for model in router.models})


def _policies(router: CapabilityRouter, *, alone: bool) -> dict[str, Policy]:
    from capability_router.simulation import (  # noqa: PLC0415 - as above
        OrderedFallback,
        RandomRetry,
        StickyFallback,
    )

    if alone:
        return {_POOLS: router}
    return {
        _POOLS: router,
        "ordered fallback": OrderedFallback(router),
        "random retry": RandomRetry(router),
        "stick until failure": StickyFallback(router),
    }
