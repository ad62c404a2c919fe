"""Rules about who serves which node."""

from __future__ import annotations

from collections.abc import Iterator

from capability_router.config.document import KeyPath
from capability_router.engine.membership import places_of
from capability_router.engine.tree import CapabilityTree
from capability_router.linting.finding import Finding
from capability_router.linting.plan import Plan

__all__ = [
    "empty_pools",
    "missing_models",
    "uncovered_capabilities",
    "unreachable_models",
    "unreachable_nodes",
]


def missing_models(plan: Plan) -> Iterator[Finding]:
    """Find a file without models, which may come from code or from LiteLLM's Router."""
    if not plan.models:
        message = "the file has no model, so that no pool can be judged"
        yield plan.finding(
            "no-models", ("models",), message, "register the models in code, or here"
        )


def empty_pools(plan: Plan) -> Iterator[Finding]:
    """Find pools that take no model."""
    for pool in plan.pools if plan.models else ():
        if plan.members(pool):
            continue
        at = f"at or under {pool.hierarchy_node}"
        left_out = ", ".join(model.id for model in plan.at_node(pool.hierarchy_node))
        message = f"pool {pool.name} has no model: none is {at}"
        remedy = "give a model one of the capabilities there, or choose another hierarchy_node"
        if left_out:
            message = f"pool {pool.name} has no model: it leaves out {left_out}"
            remedy = "widen allowed_providers, excluded_providers or select"
        yield plan.finding("empty-pool", ("pools", pool.name), message, remedy)


def unreachable_nodes(plan: Plan) -> Iterator[Finding]:
    """Find nodes that the file adds, and aliases, at which no model can serve."""
    if not plan.models:
        return
    tree, default = plan.blueprint.tree, CapabilityTree()
    served = {place for model in plan.models for place in places_of(model, tree)}
    remedy = "give a model this capability, or remove the name"
    for path in (node.path for node in tree if node.path not in default):
        above = path.rpartition(".")[0]
        # Of a branch without models its top says all.
        if path not in served and (above in served or above in default or not above):
            message = f"no model serves {path} or anything under it"
            at: KeyPath = ("tree", *path.split("."))
            yield plan.finding("unreachable-node", at, message, remedy)
    for alias, target in plan.document.section("aliases").items():
        node = tree.resolve(str(target)).path
        if node not in served and node in default:
            message = f"{alias} stands for {node}, which no model serves"
            yield plan.finding("unreachable-node", ("aliases", alias), message, remedy)


def unreachable_models(plan: Plan) -> Iterator[Finding]:
    """Find models that the pools over each of their capabilities leave out."""
    for model in plan.models:
        covering = [plan.covering(leaf) for leaf in model.capabilities]
        admitted = [any(p.preferences.admits(model) for p in pools) for pools in covering]
        # Where no pool is declared the defaults hold, and they take everybody.
        if all(covering) and not any(admitted):
            named = ", ".join(dict.fromkeys(pool.name for pools in covering for pool in pools))
            message = f"{model.id} never serves: it is left out by {named}"
            remedy = "admit its provider in a pool, or remove the model"
            yield plan.finding("unreachable-model", ("models", model.id), message, remedy)


def uncovered_capabilities(plan: Plan) -> Iterator[Finding]:
    """Find capabilities that models have and no declared pool covers."""
    served: dict[str, str] = {}
    for model in plan.models:
        for leaf in model.capabilities:
            served.setdefault(leaf, model.id)
    for leaf, model_id in served.items():
        if not plan.covering(leaf):
            message = f"no pool covers {leaf}, so that the defaults hold there"
            remedy = "declare a pool at it or above it if they do not suit"
            yield plan.finding("no-pool", ("models", model_id), message, remedy)
