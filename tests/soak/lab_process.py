"""The providers of a soak, in a process of their own: its memory and sockets are not the callers'.

Reads one command a line and answers with one line of JSON: ``storm`` begins changing weather,
``calm`` ends it and heals everybody, ``tally`` tells what was asked, and the end of the input ends
the process.
"""

import json
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from random import Random

from capability_router.lab import FaultKind, Lab, LabProvider, LabRequest
from capability_router.lab.prefills import Prefill
from tests.soak.weather import changed

NAMES = ("alpha", "beta", "gamma", "delta")
NEVER_GOES_ON = "delta"
"""The one provider whose models are not said to go on with the answers of others."""
# Not "restart": a model that is said to go on from a beginning, and begins anew, is said wrongly.
PREFILLS: tuple[Prefill, ...] = ("continue", "echo", "refuse")


class Weather:
    """Changes the faults of every provider, each at its own pace.

    Args:
        lab: The providers.
        seed: Of chance.
    """

    def __init__(self, lab: Lab, seed: int) -> None:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._blow, args=(provider, Random(f"{seed} {provider.name}")))
            for provider in lab
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Leave everything as it is from now on."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _blow(self, provider: LabProvider, chance: Random) -> None:
        while not self._over.is_set():
            provider.fault = changed(chance, goes_on=provider.name != NEVER_GOES_ON)
            provider.prefill = chance.choice(PREFILLS)
            self._over.wait(chance.uniform(0.3, 1.7))


def tally(lab: Lab) -> Mapping[str, Mapping[str, int]]:
    """Count what each provider was asked and how that ended."""
    return {provider.name: counted(provider) for provider in lab}


def counted(provider: LabProvider) -> Mapping[str, int]:
    requests = provider.requests
    endings = Counter[str](request.ended or "under way" for request in requests)
    return {
        "requests": len(requests),
        "redirects": sum(request.fault.kind is FaultKind.REDIRECT for request in requests),
        "continuations": sum(map(_continues, requests)),
        "open_connections": provider.open_connections,
        **endings,
    }


def _continues(request: LabRequest) -> bool:
    messages = (request.body or {}).get("messages")
    return isinstance(messages, list) and bool(messages) and messages[-1]["role"] == "assistant"


def main(seed: int) -> None:
    """Serve until the input ends."""
    with Lab(NAMES, answers="echo") as lab:
        weather: Weather | None = None
        tell({provider.name: provider.base_url for provider in lab})
        for line in sys.stdin:
            command = line.strip()
            if weather is not None and command in {"storm", "calm"}:
                weather.stop()
                weather = None
            if command == "storm":
                weather = Weather(lab, seed)
            elif command == "calm":
                for provider in lab:
                    provider.heal()
            tell(tally(lab) if command == "tally" else {})
        if weather is not None:
            weather.stop()


def tell(what: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
