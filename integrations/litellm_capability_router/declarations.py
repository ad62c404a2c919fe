"""What deployments of LiteLLM declare of the models that they are.

Knows the keys of a ``model_list`` and the catalogue; not the Router that holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Any

from capability_router import Catalogue, CatalogueEntry, Limit, Model, Price, Unit
from litellm_capability_router.listing import Deployed

__all__ = ["ProviderNames", "declared_model", "declared_models"]

_ACCOUNT = (
    "api_base",
    "base_url",
    "api_key",
    "organization",
    "litellm_credential_name",
    "azure_ad_token",
    "client_id",
    "tenant_id",
    "aws_access_key_id",
    "aws_profile_name",
    "aws_role_name",
    "aws_region_name",
    "vertex_project",
    "vertex_location",
    "vertex_credentials",
    "region_name",
)
"""Parameters that say where a deployment is and who pays for it."""

_Account = tuple[str, ...]
"""The vendor, and then the parameters above."""


class ProviderNames:
    """The providers that deployments belong to; each keeps its name while it has a deployment.

    A provider is what fails together: deployments of one vendor that share an address and a key.
    The first of a vendor is named like it, for instance ``openai``, the next ``openai-2``; a name
    is free again when the last deployment of its provider has gone.

    Args:
        catalogue: Tells the vendor where deployments do not; None if there is none.
    """

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue
        self._names: dict[_Account, str] = {}

    def follow(self, deployments: Collection[Deployed]) -> None:
        """Name the providers of all deployments that there are now, in their order."""
        accounts = dict.fromkeys(self._account(deployment) for deployment in deployments)
        # The names of those that have gone are free for those that have come in their place.
        self._names = {known: name for known, name in self._names.items() if known in accounts}
        for account in accounts:
            if account not in self._names:
                self._names[account] = self._free_name(account[0])

    def name(self, deployment: Deployed) -> str:
        """Return the provider of one of the deployments that are followed."""
        return self._names[self._account(deployment)]

    def _account(self, deployment: Deployed) -> _Account:
        params = deployment["litellm_params"]
        vendor = _vendor(params, _entry(deployment, self._catalogue))
        return (vendor, *(str(params.get(name)) for name in _ACCOUNT))

    def _free_name(self, vendor: str) -> str:
        taken = set(self._names.values())
        if vendor not in taken:
            return vendor
        return next(name for n in count(2) if (name := f"{vendor}-{n}") not in taken)


def declared_models(
    deployments: Iterable[Deployed], catalogue: Catalogue | None = None
) -> list[Model]:
    """Return the models that deployments are, in their order, each as ``declared_model`` has it.

    Args:
        deployments: As they stand in a ``model_list``.
        catalogue: Where what they do not state is looked up; None for nowhere.

    Raises:
        ValueError: If a deployment states what cannot be, such as an unknown feature; it is named.
    """
    listed, names = list(deployments), ProviderNames(catalogue)
    names.follow(listed)
    models = (declared_model(deployment, names, catalogue) for deployment in listed)
    return [model for model in models if model is not None]


def declared_model(
    deployment: Deployed, names: ProviderNames, catalogue: Catalogue | None = None
) -> Model | None:
    """Return the model that a deployment is; None if it serves no capability.

    A model's id is its deployment's. ``model_info`` may state ``capabilities``, ``features``,
    ``context_window`` or LiteLLM's ``max_input_tokens``, ``vector_space``, ``dimensions`` and
    ``provider``; price and limits are LiteLLM's own ``input_cost_per_token``,
    ``output_cost_per_token``, ``rpm`` and ``tpm``, there or in ``litellm_params``. An empty list
    of capabilities keeps a deployment out, and so do LiteLLM's ``blocked`` and ``team_id``: what
    belongs to one team must not serve another.

    Args:
        deployment: As it stands in a ``model_list``.
        names: The provider of a deployment that states none under ``provider``.
        catalogue: Where what it does not state is looked up, by ``base_model`` or else by the
            model that LiteLLM calls; None for nowhere. A deployment that states its capabilities
            does not get features and last day from there.

    Raises:
        ValueError: If it states what cannot be, such as an unknown feature; its id is named.
    """
    try:
        return _model(deployment, _entry(deployment, catalogue), names.name(deployment))
    except (TypeError, ValueError) as error:
        raise ValueError(f"deployment {deployment['model_info']['id']!r}: {error}") from error


def _entry(deployment: Deployed, catalogue: Catalogue | None) -> CatalogueEntry | None:
    if catalogue is None:
        return None
    info, params = deployment["model_info"], deployment["litellm_params"]
    name = str(info.get("base_model") or params.get("base_model") or params["model"])
    vendor = params.get("custom_llm_provider")
    if vendor and "/" not in name:
        return catalogue.find(str(vendor), name)
    # Not get: for a name that is not there, it would be told which ones are the nearest.
    return catalogue[name] if name in catalogue else None  # noqa: SIM401 - said above


def _vendor(params: Mapping[str, Any], entry: CatalogueEntry | None) -> str:
    stated = params.get("custom_llm_provider")
    prefix, slash, _ = str(params["model"]).partition("/")
    return str(stated or (entry.vendor if entry and not slash else prefix))


def _model(deployment: Deployed, entry: CatalogueEntry | None, provider: str) -> Model | None:
    info, params = deployment["model_info"], deployment["litellm_params"]
    stated = _stated(info, params)
    known = {} if entry is None else _known(entry)
    if "capabilities" in stated:
        # Whoever says what a model is for need not be told that it cannot do it.
        known.pop("features", None)
        known.pop("deprecated_at", None)
    fields: dict[str, Any] = {"provider": provider, **known, **stated}
    if not fields.get("capabilities") or info.get("blocked") or info.get("team_id"):
        return None
    return Model(id=str(info["id"]), name=str(params["model"]), **fields)


def _known(entry: CatalogueEntry) -> dict[str, Any]:
    names = (
        "capabilities",
        "features",
        "context_window",
        "price",
        "deprecated_at",
        "vector_space",
        "dimensions",
    )
    return {name: getattr(entry, name) for name in names}


def _stated(info: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    fields = {
        "capabilities": info.get("capabilities"),
        "provider": info.get("provider"),
        "features": info.get("features"),
        "context_window": info.get("context_window") or info.get("max_input_tokens"),
        "price": _price(info, params),
        "limits": _limits(info, params),
        "vector_space": info.get("vector_space"),
        "dimensions": info.get("dimensions"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _price(info: Mapping[str, Any], params: Mapping[str, Any]) -> Price | None:
    """Return the price per million tokens; LiteLLM has it per token."""
    names = ("input_cost_per_token", "output_cost_per_token")
    told = [params[name] if params.get(name) is not None else info.get(name) for name in names]
    if told == [None, None]:
        return None
    # Rounded, for 0.00000015 times a million is 0.15 but for the last digit.
    return Price(*(round(float(each or 0.0) * 1_000_000, 9) for each in told))


def _limits(info: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[Limit, ...] | None:
    """Return what LiteLLM's own Router would let through in a minute."""
    told = {Unit.REQUESTS: "rpm", Unit.TOKENS: "tpm"}
    rates = {unit: params.get(name) or info.get(name) for unit, name in told.items()}
    return tuple(Limit(unit, float(rate), 60.0) for unit, rate in rates.items() if rate) or None
