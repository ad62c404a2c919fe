"""How the vendors are reached: their environment variables, and where they list their models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from capability_router.engine.model import Provider, Secret

__all__ = ["VENDORS", "Vendor"]

_REGIONS = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE")
_DEPLOYED = "its models bear the names that you gave them: declare them in YAML"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """What an account of one vendor is known by.

    Attributes:
        id: The vendor's name in front of a model, as LiteLLM has it.
        credentials: Groups of environment variables: of each group one has to be set.
        settings: Further groups that are needed as well, but do not tell of an account alone.
        base_urls: Variables with another address of the API, the first that is set counts.
        url: Root of its OpenAI-compatible API; None if it has none that lists models.
        models_path: Where its API lists its models, below the address of the API.
        own_names: Why the catalogue's names are not those of an account; empty if they are.
    """

    id: str
    credentials: tuple[tuple[str, ...], ...]
    settings: tuple[tuple[str, ...], ...] = ()
    base_urls: tuple[str, ...] = ()
    url: str | None = None
    models_path: str = "/models"
    own_names: str = ""

    def present(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the variables of its credentials that are set, in the order of preference."""
        named = dict.fromkeys(name for group in self.credentials for name in group)
        return tuple(name for name in named if environ.get(name))

    def missing(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return what is not set and needed, each group as ``FIRST or SECOND``."""
        groups = (*self.credentials, *self.settings)
        lacking = (group for group in groups if not any(environ.get(name) for name in group))
        return tuple(" or ".join(group) for group in lacking)

    def api_key(self, environ: Mapping[str, str]) -> Secret | None:
        """Return the key, where one variable holds all of it; None for the client library's."""
        if len(self.credentials) > 1:
            return None
        names = [name for name in self.present(environ) if name not in self.base_urls]
        return Secret(environ[names[0]]) if names else None

    def base_url(self, environ: Mapping[str, str]) -> str | None:
        """Return the address that the environment gives; None for the vendor's own."""
        return next((environ[name] for name in self.base_urls if environ.get(name)), None)

    def provider(self, environ: Mapping[str, str]) -> Provider:
        """Return how this vendor is reached with what the environment holds."""
        return Provider(
            self.id, self.id, base_url=self.base_url(environ), api_key=self.api_key(environ)
        )


def _with_key(vendor: str, url: str | None, *keys: str, base_urls: tuple[str, ...] = ()) -> Vendor:
    return Vendor(id=vendor, credentials=(keys,), url=url, base_urls=base_urls)


_ALL = (
    _with_key(
        "openai",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        base_urls=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
    ),
    _with_key("anthropic", None, "ANTHROPIC_API_KEY"),
    _with_key(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
    ),
    _with_key("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _with_key("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    _with_key("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    _with_key(
        "together_ai",
        "https://api.together.xyz/v1",
        "TOGETHERAI_API_KEY",
        "TOGETHER_AI_API_KEY",
        "TOGETHER_API_KEY",
    ),
    _with_key("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    _with_key("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    _with_key("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    _with_key("perplexity", None, "PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    _with_key(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_AI_API_KEY",
        "FIREWORKS_API_KEY",
        "FIREWORKSAI_API_KEY",
    ),
    _with_key("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    _with_key("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    _with_key("voyage", None, "VOYAGE_API_KEY"),
    _with_key("jina_ai", None, "JINA_AI_API_KEY", "JINA_API_KEY"),
    _with_key("nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    _with_key("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    _with_key("ai21", None, "AI21_API_KEY"),
    _with_key("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    _with_key("novita", None, "NOVITA_API_KEY"),
    _with_key("wandb", "https://api.inference.wandb.ai/v1", "WANDB_API_KEY"),
    Vendor(
        id="cloudflare",
        credentials=(("CLOUDFLARE_API_KEY",), ("CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_BASE")),
    ),
    Vendor(
        id="bedrock",
        credentials=(
            ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
            ("AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"),
        ),
        settings=(_REGIONS,),
    ),
    Vendor(id="vertex_ai", credentials=(("VERTEXAI_PROJECT",), ("VERTEXAI_LOCATION",))),
    Vendor(
        id="azure",
        credentials=(("AZURE_API_KEY",), ("AZURE_API_BASE",), ("AZURE_API_VERSION",)),
        own_names=_DEPLOYED,
    ),
    Vendor(
        id="azure_ai",
        credentials=(("AZURE_AI_API_KEY",), ("AZURE_AI_API_BASE",)),
        own_names=_DEPLOYED,
    ),
    Vendor(
        id="ollama",
        credentials=(("OLLAMA_API_BASE",),),
        base_urls=("OLLAMA_API_BASE",),
        models_path="/v1/models",
        own_names="it serves what was pulled: ask it with discover()",
    ),
)

VENDORS: Mapping[str, Vendor] = {vendor.id: vendor for vendor in _ALL}
"""The vendors that ``CapabilityRouter.from_environment`` looks for, in this order."""
