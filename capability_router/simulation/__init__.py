"""What would happen: policies in simulated worlds, by the engine that routes real requests.

>>> from capability_router import CapabilityRouter, Model
>>> from capability_router.simulation import SimulatedProvider, Workload, simulate
>>> router = CapabilityRouter()
>>> _ = router.register(Model("alpha/chat", ("chat-completion",)))
>>> simulate(router, Workload("chat-completion", requests=100)).success
1.0
"""

from capability_router.simulation.baselines import OrderedFallback, RandomRetry, StickyFallback
from capability_router.simulation.compare import Comparison, compare
from capability_router.simulation.goal import Trial
from capability_router.simulation.intervals import Interval
from capability_router.simulation.outages import (
    PUBLISHED_99_58,
    PUBLISHED_99_72,
    Outage,
    Outages,
)
from capability_router.simulation.percentiles import Percentiles
from capability_router.simulation.providers import SimulatedProvider
from capability_router.simulation.replay import Change, Difference, Replay, replay
from capability_router.simulation.result import ModelResult, SimulationResult
from capability_router.simulation.simulate import simulate
from capability_router.simulation.tune import Tuning, tune
from capability_router.simulation.workload import Arrival, Bursts, Poisson, Recorded, Workload

__all__ = [
    "PUBLISHED_99_58",
    "PUBLISHED_99_72",
    "Arrival",
    "Bursts",
    "Change",
    "Comparison",
    "Difference",
    "Interval",
    "ModelResult",
    "OrderedFallback",
    "Outage",
    "Outages",
    "Percentiles",
    "Poisson",
    "RandomRetry",
    "Recorded",
    "Replay",
    "SimulatedProvider",
    "SimulationResult",
    "StickyFallback",
    "Trial",
    "Tuning",
    "Workload",
    "compare",
    "replay",
    "simulate",
    "tune",
]
