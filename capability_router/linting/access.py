"""Rules about how the providers are reached."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from capability_router.catalogue.catalogue import Catalogue
from capability_router.catalogue.vendors import VENDORS
from capability_router.config.document import KeyPath
from capability_router.config.references import variables_in
from capability_router.engine.errors import nearest
from capability_router.engine.model import Provider
from capability_router.linting.finding import Finding
from capability_router.linting.plan import Plan

__all__ = ["unknown_vendors", "unset_variables", "unused_providers"]


def unset_variables(plan: Plan) -> Iterator[Finding]:
    """Find environment variables that are referred to, or that a vendor needs, and are not set."""
    for path, written in plan.document.references.items():
        for name in variables_in(written):
            if not plan.environ.get(name):
                message = f"the environment variable {name} is not set, or is empty"
                yield plan.finding("unset-variable", path, message, f"set {name}")
    for provider in plan.providers(plan.models).values():
        missing = _missing_credentials(plan, provider)
        if missing:
            message = f"provider {provider.id} has no api_key, and {' and '.join(missing)} not set"
            remedy = "set what is missing, or give the provider an api_key"
            yield plan.finding("unset-variable", _declaration(plan, provider), message, remedy)


def _missing_credentials(plan: Plan, provider: Provider) -> list[str]:
    """What the vendor's client would look for in vain, each with its verb."""
    vendor = VENDORS.get(provider.vendor)
    if vendor is None or provider.base_url is not None or provider.api_key is not None:
        return []
    # An address that is not given has a default.
    own = {name for group in vendor.credentials for name in group} - {*vendor.base_urls}
    return [f"{name} is" for name in vendor.missing(plan.environ)] if own else []


def unknown_vendors(plan: Plan) -> Iterator[Finding]:
    """Find vendors that neither the project nor LiteLLM's price map knows."""
    for provider in plan.blueprint.providers:
        vendor = provider.vendor
        # Whoever gives an address may speak a dialect for servers of one's own, which has no price.
        if provider.base_url is not None or vendor in VENDORS or vendor in _priced_vendors():
            continue
        near = nearest(vendor, sorted({*VENDORS, *_priced_vendors()}), most=1)
        remedy = f"write vendor: {near[0]}" if near else "give its vendor, or its base_url"
        # What stands below a provider may be a misplaced key, so it is not shown.
        message = f"the vendor of provider {provider.id} is not known"
        path = ("providers", provider.id, "vendor")
        yield plan.finding("unknown-vendor", path, message, remedy)


@cache
def _priced_vendors() -> frozenset[str]:
    try:
        return frozenset(entry.vendor for entry in Catalogue.from_litellm().values())
    except ImportError:
        return frozenset()


def unused_providers(plan: Plan) -> Iterator[Finding]:
    """Find providers, and so keys, that no model uses."""
    used = {model.provider for model in plan.models}
    for provider in plan.blueprint.providers:
        if provider.id not in used and plan.models:
            message = f"provider {provider.id} has no model"
            remedy = "add one under models, or remove the provider and its key"
            yield plan.finding("unused-provider", ("providers", provider.id), message, remedy)


def _declaration(plan: Plan, provider: Provider) -> KeyPath:
    """Where a provider is declared, or else its first model."""
    if provider.id in plan.document.section("providers"):
        return ("providers", provider.id)
    return ("models", next(model.id for model in plan.models if model.provider == provider.id))
