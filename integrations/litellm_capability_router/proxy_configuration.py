"""What the file of a LiteLLM proxy says about capabilities, turned into a router.

Knows where the configuration may stand; not what the proxy does with the router.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capability_router import CapabilityRouter, Catalogue, ConfigurationError, Model, Problem
from capability_router.config import load
from capability_router.engine.blueprint import Blueprint
from capability_router.engine.membership import placed
from litellm_capability_router.declarations import declared_models

__all__ = ["SECTION", "VARIABLE", "configured_router"]

SECTION = "capability_router"
"""Key of the proxy's file under which the configuration stands, or the path of its own file."""

VARIABLE = "CAPABILITY_ROUTER_CONFIG"
"""Environment variable with the path, where the proxy's file has no such key."""


def configured_router(
    config: Mapping[str, Any],
    file: str | None,
    environ: Mapping[str, str],
    catalogue: Catalogue | None = None,
) -> CapabilityRouter:
    """Return the router that a proxy's configuration asks for; its deployments join later.

    Args:
        config: What the proxy has read.
        file: From where, for the lines that messages name; None if from no file.
        environ: The environment variables.
        catalogue: Where is looked up what deployments do not declare; None for nowhere.

    Raises:
        ConfigurationError: If anything is wrong with it, or with what a deployment declares; it
            names each place.
    """
    listed: Sequence[Mapping[str, Any]] = config.get("model_list") or ()
    models = _declared(listed, file, catalogue)
    blueprint = _blueprint(config, file, environ, [model for _, model in models])
    router = CapabilityRouter(None if blueprint is None else blueprint.tree)
    _check_capabilities(models, router, file)
    if blueprint is not None:
        router.configure(blueprint)
    return router


def _declared(
    listed: Sequence[Mapping[str, Any]], file: str | None, catalogue: Catalogue | None
) -> list[tuple[str, Model]]:
    """Return the deployments' models, each with the key where it stands."""
    deployments = [_with_id(deployment, number) for number, deployment in enumerate(listed)]
    places = {each["model_info"]["id"]: number for number, each in enumerate(deployments)}
    try:
        models = declared_models(deployments, catalogue)
    except ValueError as error:
        raise ConfigurationError([_problem(str(error), "model_list", file)]) from error
    return [(f"model_list[{places[model.id]}].model_info", model) for model in models]


def _with_id(deployment: Mapping[str, Any], number: int) -> dict[str, Any]:
    """LiteLLM makes an id where there is none, but later; nobody can name that one anyway."""
    info: dict[str, Any] = deployment.get("model_info") or {}
    made = f"{number} ({deployment.get('model_name')})"
    return {**deployment, "model_info": {**info, "id": str(info.get("id") or made)}}


def _blueprint(
    config: Mapping[str, Any],
    file: str | None,
    environ: Mapping[str, str],
    models: Sequence[Model],
) -> Blueprint | None:
    elsewhere = {
        "models": [model.id for model in models],
        "providers": list(dict.fromkeys(model.provider for model in models)),
    }
    if SECTION not in config:
        path = environ.get(VARIABLE)
        return load(path, environ=environ, elsewhere=elsewhere) if path else None
    section = config[SECTION]
    if isinstance(section, str):
        own = Path(file or "").parent / section
        return load(own, environ=environ, elsewhere=elsewhere)
    if file is None:
        message = "write the path of a YAML file here, for the proxy's own file is not on this disk"
        raise ConfigurationError([_problem(message, SECTION, file)])
    return load(file, environ=environ, section=SECTION, elsewhere=elsewhere)


def _check_capabilities(
    models: Sequence[tuple[str, Model]], router: CapabilityRouter, file: str | None
) -> None:
    problems: list[Problem] = []
    for key, model in models:
        try:
            placed(model, router.tree)
        except (KeyError, ValueError) as error:
            problems.append(_problem(str(error), f"{key}.capabilities", file))
    if problems:
        raise ConfigurationError(problems)


def _problem(message: str, key: str, file: str | None) -> Problem:
    return Problem(message, key, file or "the proxy's configuration")
