"""The tables of docs/under-fire.md, from what the cells expect and the surfaces raise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.faults.case import Outcome
from tests.faults.cells import CASES

__all__ = ["ERRORS", "error_rows", "fault_rows"]

ERRORS: Mapping[str, Mapping[str, str]] = {
    "LangChain": {
        "all failed": "AllChatModelsFailedError",
        "interrupted": "ChatStreamInterruptedError",
        "refused": "ContentPolicyViolationError",
    },
    "LangChain, own models": {
        "all failed": "AllChatModelsFailedError",
        "interrupted": "ChatStreamInterruptedError",
        "refused": "OpenAIInvalidRequestError",
    },
    "LiteLLM Router": {
        "all failed": "CapabilityUnavailableError",
        "interrupted": "CapabilityStreamError",
        "refused": "ContentPolicyViolationError",
    },
    "LiteLLM provider": {
        "all failed": "CapabilityUnavailableError",
        "interrupted": "CapabilityStreamError",
        "refused": "ContentPolicyViolationError",
    },
}
"""The class of each kind of ending by place; of ``refused`` that of row 13a."""

ENDINGS = {"all failed": "17a", "interrupted": "14b", "refused": "13a"}
"""Rows of the table that end so."""


def fault_rows() -> Iterator[str]:
    """Yield a row for each fault; a policy that changes nothing is not told twice."""
    for case in CASES:
        outcomes = case.outcomes()
        default = outcomes["default"]
        yield _row(case.number, case.name, default)
        patient = outcomes.get("patient", default)
        if patient != default:
            yield _row(case.number, "the same, patient", patient)


def _row(number: str, name: str, outcome: Outcome) -> str:
    stream = "the same" if outcome.stream == outcome.whole else outcome.stream
    return f"| {number} | {name} | {outcome.whole} | {stream} |"


def error_rows() -> Iterator[str]:
    """Yield a row for each place where one can ask."""
    for place, classes in ERRORS.items():
        yield f"| {place} | {' | '.join(f'`{classes[ending]}`' for ending in ENDINGS)} |"
