"""What an answer cost by LiteLLM's price list, where a model has no price of its own.

LiteLLM works it out for most whole answers by itself. For streams and for Anthropic's messages it
is asked here, once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import litellm

from capability_router import Model
from capability_router.driving.drivers import Watch
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.steps import Try
from litellm_capability_router.answers import LiteLLMJudge, as_cost
from litellm_capability_router.deployments import NoDeploymentError
from litellm_capability_router.listing import Deployed

__all__ = ["PriceList", "PricingJudge", "priced"]


class PriceList:
    """LiteLLM's prices, for models that have none of their own.

    Args:
        deployed: Tells how a model is deployed.
    """

    def __init__(self, deployed: Callable[[Model], Deployed]) -> None:
        self._deployed = deployed

    def with_cost(self, model: Model, usage: Usage, told: object = None) -> Usage:
        """Return the usage with its cost in US dollars, or as it is where no price is known.

        Args:
            model: The model that was used.
            usage: The tokens, all of them.
            told: How the provider has told them: of those that LiteLLM has read, it knows which
                ones were cached, and cheaper.
        """
        if not usage.total_tokens:
            return usage
        try:
            deployed = self._deployed(model)
        except NoDeploymentError:
            # It has gone while it answered, and leaves the answer without a price.
            return usage
        return replace(usage, cost_usd=_listed_cost(deployed, usage, told))


class PricingJudge(LiteLLMJudge):
    """Reads complete answers, and prices those that LiteLLM leaves unpriced.

    Args:
        prices: The prices.
    """

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices

    def usage(self, answer: object, step: Try) -> Usage:
        """Return the tokens of the answer to a step and what it cost.

        Raises:
            IncompleteAnswerError: If it is none, as in ``check_answer``.
        """
        usage = super().usage(answer, step)
        # Messages are plain dictionaries: LiteLLM has no place in them to write a cost to.
        unpriced = isinstance(answer, Mapping) and step.model.price is None
        return self._prices.with_cost(step.model, usage) if unpriced else usage


def priced(watch: Watch[Any], model: Model, prices: PriceList) -> Watch[Any]:
    """Let a watch over a stream of a model tell the cost, where the model has no price."""
    return _PricingWatch(watch, model, prices) if model.price is None else watch


class _PricingWatch:
    """Another watch, whose usage has a cost."""

    def __init__(self, watch: Watch[Any], model: Model, prices: PriceList) -> None:
        self._watch = watch
        self._model = model
        self._prices = prices
        self._told: object = None

    @property
    def usage(self) -> Usage:
        return self._prices.with_cost(self._model, self._watch.usage, self._told)

    @property
    def committed(self) -> bool:
        return self._watch.committed

    @property
    def complete(self) -> bool:
        return self._watch.complete

    @property
    def finished(self) -> bool:
        return self._watch.finished

    @property
    def text(self) -> str:
        return self._watch.text

    def take(self, chunk: Any) -> None:
        self._watch.take(chunk)
        self._told = getattr(chunk, "usage", None) or self._told

    def failure(self, error: Exception) -> Failure:
        return self._watch.failure(error)


def _listed_cost(deployed: Deployed, usage: Usage, told: object) -> float | None:
    info, params = deployed["model_info"], deployed["litellm_params"]
    try:
        costs = litellm.cost_per_token(
            model=info.get("base_model") or params.get("base_model") or params["model"],
            custom_llm_provider=params.get("custom_llm_provider"),
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            usage_object=told if isinstance(told, litellm.Usage) else None,
        )
    except Exception:  # noqa: BLE001 - what it raises for an unlisted model differs by vendor
        return None
    return as_cost(sum(costs))
