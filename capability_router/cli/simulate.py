"""The command that tries a configuration in simulated worlds, beside the rules of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capability_router.cli.progress import progress_bar
from capability_router.cli.terminal import counted, failure, print_json, print_page, router_of

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
        str, typer.Option(help="Node that is asked for, where there is no scenario.")
    ] = "chat-completion",
    requests: Annotated[
        int, typer.Option(min=1, help="Requests, where there is no scenario.")
    ] = 20_000,
    per_s: Annotated[
        float, typer.Option(min=1e-6, help="Requests per second, where there is no scenario.")
    ] = 0.05,
    streamed: Annotated[
        bool, typer.Option("--streamed", help="Read the answers as they are written.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many worlds.")] = 3,
    alone: Annotated[
        bool, typer.Option("--alone", help="Leave out the rules of other libraries.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try a configuration in simulated worlds, beside the rules of others; nobody is called.

    Without a scenario every provider has outages as they were published of a large API.
    """
    # Here and not above: pydantic takes longer to import than all commands.
    from capability_router.simulation import compare  # noqa: PLC0415 - said above

    router = router_of(config)
    try:
        scene = _scenario(router, scenario, capability, requests, per_s, streamed=streamed)
        policies = _policies(router, alone=alone)
        with progress_bar(f"simulating {counted(len(policies), 'policy')}") as tell:
            told = compare(policies, scene.workload, scene.providers, range(seeds), progress=tell)
    except (KeyError, ValueError) as error:
        raise failure(error) from None
    if as_json:
        print_json(told.as_dict())
    else:
        print_page(told.page())


def _scenario(
    router: CapabilityRouter,
    path: Path | None,
    capability: str,
    requests: int,
    per_s: float,
    *,
    streamed: bool,
) -> Scenario:
    from capability_router.simulation import (  # noqa: PLC0415 - as above
        PUBLISHED_99_58,
        Poisson,
        SimulatedProvider,
        Workload,
    )
    from capability_router.simulation.scenario import Scenario, load_scenario  # noqa: PLC0415 - as above

    if path is not None:
        return load_scenario(path)
    workload = Workload(capability, requests, Poisson(per_s), streamed=streamed)
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
