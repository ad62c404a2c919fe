"""What OpenTelemetry's semantic conventions for generative AI call things.

Of open-telemetry/semantic-conventions-genai, which took them over from version 1.41 of the
semantic conventions. All of it is in development there: what changes with them stands in this file
alone.
"""

from __future__ import annotations

from capability_router.engine.outcome import Attempt

__all__ = [
    "ATTEMPT_COST",
    "ATTEMPT_HEDGE",
    "ATTEMPT_POOL",
    "ATTEMPT_TRIAL",
    "ATTEMPT_WAIT",
    "CALL_ATTEMPTS",
    "CALL_CAPABILITY",
    "CALL_DEGRADED_TO",
    "CALL_NODE",
    "CALL_PANIC",
    "CALL_POOL",
    "CALL_SERVED_BY",
    "DURATION_BUCKETS",
    "ERROR_TYPE",
    "FIRST_CHUNK",
    "INPUT_TOKENS",
    "OPERATION",
    "OPERATION_DURATION",
    "OUTPUT_TOKENS",
    "PROVIDER",
    "REQUEST_MODEL",
    "REQUEST_STREAM",
    "STATUS_CODE",
    "TOKEN_BUCKETS",
    "TOKEN_TYPE",
    "TOKEN_USAGE",
    "model_name",
    "operation",
    "provider_name",
]

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
ERROR_TYPE = "error.type"
STATUS_CODE = "http.response.status_code"

OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"
DURATION_BUCKETS = [0.01 * 2**step for step in range(14)]
"""Seconds, as the conventions advise."""
TOKEN_BUCKETS = [4**step for step in range(14)]
"""Tokens, as the conventions advise."""

# The conventions know no routing: these names are the project's own, under its own prefix.
CALL_CAPABILITY = "capability_router.capability"
CALL_NODE = "capability_router.node"
CALL_POOL = "capability_router.pool"
CALL_SERVED_BY = "capability_router.served_by"
CALL_ATTEMPTS = "capability_router.attempts"
CALL_PANIC = "capability_router.panic"
CALL_DEGRADED_TO = "capability_router.degraded_to"
ATTEMPT_POOL = "capability_router.attempt.pool"
ATTEMPT_TRIAL = "capability_router.attempt.trial"
ATTEMPT_HEDGE = "capability_router.attempt.hedge"
ATTEMPT_WAIT = "capability_router.attempt.wait"
ATTEMPT_COST = "capability_router.attempt.cost"

_OPERATIONS = {
    "chat-completion": "chat",
    "text-completion": "text_completion",
    "text-embeddings": "embeddings",
    "image-embeddings": "embeddings",
    "multimodal-embeddings": "embeddings",
    "semantic-search": "retrieval",
}
"""The operations that have a name in the conventions, by leaf; others bear that of their leaf."""

_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""The names of vendors that the conventions have changed, by LiteLLM's."""


def operation(node: str) -> str:
    """Return the name of the operation that a node of the capability tree stands for.

    Args:
        node: Full path of the node.
    """
    leaf = node.rpartition(".")[2]
    return _OPERATIONS.get(leaf, leaf)


def provider_name(provider: str) -> str:
    """Return the conventions' name of a provider that bears its vendor's, or else its own."""
    return _PROVIDERS.get(provider, provider)


def model_name(attempt: Attempt) -> str:
    """Return the name by which the provider calls the model."""
    return attempt.model.removeprefix(f"{attempt.provider}/")
