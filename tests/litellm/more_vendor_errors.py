"""The refusals of the other half of the vendors; ``vendor_errors`` has them all."""

from tests.litellm.vendor_shapes import (
    IN_A_DAY_MS,
    VendorError,
    bedrock,
    groq,
    mistral,
    openrouter,
)

GROQ = [
    groq("invalid request", 400, "invalid_request", "'messages.0.role' must be one of [user]"),
    groq(
        "prompt longer than the context",
        400,
        "context_overflow",
        "Please reduce the length of the messages or completion.",
        "context_length_exceeded",
    ),
    groq(
        "tools for a model without",
        400,
        "unsupported",
        "`tool calling` is not supported with this model",
    ),
    groq(
        "a schema that the model lacks",
        400,
        "unsupported",
        "This model does not support response format `json_schema`.",
    ),
    groq(
        "tool call that the model wrote badly",
        400,
        "unsupported",
        "Failed to call a function. Please adjust your prompt.",
        "tool_use_failed",
    ),
    groq("wrong key", 401, "auth", "Invalid API Key", "invalid_api_key"),
    groq(
        "retired model",
        400,
        "not_found",
        "The model `gemma-7b-it` has been decommissioned and is no longer supported.",
        "model_decommissioned",
    ),
    groq(
        "unknown model",
        404,
        "not_found",
        "The model `no` does not exist or you do not have access to it.",
        "model_not_found",
    ),
    groq(
        "request larger than a minute's tokens",
        413,
        "unsupported",
        "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 9000",
        "rate_limit_exceeded",
        type="tokens",
    ),
    groq(
        "a day's tokens used up, the wait in words",
        429,
        "rate_limited",
        "Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, Used 97050,"
        " Requested 3619. Please try again in 7m12s. Need more tokens?",
        "rate_limit_exceeded",
        type="tokens",
        wait_s=432.0,
    ),
    groq(
        "rate limit with `retry-after`",
        429,
        "rate_limited",
        "Rate limit reached",
        "rate_limit_exceeded",
        type="requests",
        headers={"retry-after": "2"},
        wait_s=2.0,
    ),
    groq("flexible tier full", 498, "overloaded", "Capacity exceeded", "capacity_exceeded"),
    groq("server error", 500, "server_error", "Internal", type="internal_server_error"),
    groq("overloaded", 503, "overloaded", "Service Unavailable", type="internal_server_error"),
]
MISTRAL = [
    mistral(
        "invalid request",
        400,
        "invalid_request",
        "invalid_request_message_order",
        "Expected last role User or Tool (or Assistant with prefix True)",
        "3230",
    ),
    mistral(
        "prompt longer than the context",
        400,
        "context_overflow",
        "invalid_request_prompt",
        "Prompt contains 40001 tokens, too large for model with 32768 maximum context length",
        "3051",
    ),
    mistral(
        "tools for a model without",
        400,
        "unsupported",
        "invalid_request_invalid_args",
        "Function calling is not enabled for this model",
        "3051",
    ),
    VendorError(
        "mistral",
        "parameter that the vendor lacks",
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "store"],
                    "msg": "Extra inputs are not permitted",
                    "input": {"code": "invalid_model"},
                }
            ]
        },
        "unsupported",
    ),
    VendorError(
        "mistral",
        "a wrong value, which is repeated",
        422,
        {
            "detail": [
                {
                    "type": "string_type",
                    "loc": ["body", "messages", 0],
                    "msg": "Input should be a valid string",
                    "input": {"code": "invalid_model", "message": "maximum context length"},
                }
            ]
        },
        "invalid_request",
    ),
    VendorError("mistral", "wrong key", 401, {"detail": "Unauthorized"}, "auth"),
    mistral("unknown model", 400, "not_found", "invalid_model", "Invalid model: no", "1500"),
    mistral("rate limit", 429, "rate_limited", "rate_limited", "Rate limit exceeded", "1300"),
    mistral(
        "overloaded",
        429,
        "overloaded",
        "service_tier_capacity_exceeded",
        "Service tier capacity exceeded for this model.",
        "3505",
    ),
    mistral("server error", 500, "server_error", "internal_server_error", "Error", "1000"),
    mistral("unavailable", 503, "overloaded", "internal_server_proxy", "Unavailable", "1000"),
]
BEDROCK = [
    bedrock(
        "invalid request",
        400,
        "invalid_request",
        "ValidationException",
        "A conversation must start with a user message.",
    ),
    bedrock(
        "prompt longer than the context",
        400,
        "context_overflow",
        "ValidationException",
        "Input is too long for requested model.",
    ),
    bedrock(
        "prompt of more tokens than fit",
        400,
        "context_overflow",
        "ValidationException",
        "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
    ),
    bedrock(
        "content filter",
        400,
        "content_policy",
        "ValidationException",
        "This request has been blocked by our content filters.",
    ),
    bedrock(
        "tools for a model without",
        400,
        "unsupported",
        "ValidationException",
        "This model doesn't support tool use.",
    ),
    bedrock(
        "images for a model of text",
        400,
        "unsupported",
        "ValidationException",
        "This model doesn't support the image field for user messages.",
    ),
    bedrock(
        "wrong key",
        403,
        "auth",
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    bedrock(
        "key that has ended",
        403,
        "auth",
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    bedrock(
        "forbidden",
        403,
        "forbidden",
        "AccessDeniedException",
        "User: arn:aws:iam::1:user/u is not authorized to perform: bedrock:InvokeModel",
    ),
    bedrock(
        "model not granted",
        403,
        "not_found",
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
    ),
    bedrock(
        "unknown model",
        400,
        "not_found",
        "ValidationException",
        "The provided model identifier is invalid.",
    ),
    bedrock(
        "model only behind an inference profile",
        400,
        "not_found",
        "ValidationException",
        "Invocation of model ID amazon.nova-2-lite-v1:0 with on-demand throughput isn\u2019t"
        " supported. Retry your request with the ID of an inference profile.",
    ),
    bedrock(
        "retired model",
        404,
        "not_found",
        "ResourceNotFoundException",
        "This model version has reached the end of its life.",
    ),
    bedrock("timeout", 408, "timeout", "ModelTimeoutException", "Model has timed out"),
    bedrock(
        "model failed",
        424,
        "overloaded",
        "ModelErrorException",
        "The system encountered an unexpected error during processing.",
    ),
    bedrock("rate limit", 429, "rate_limited", "ThrottlingException", "Too many requests"),
    bedrock(
        "service quota",
        400,
        "rate_limited",
        "ServiceQuotaExceededException",
        "Your request exceeds the service quota for your account.",
    ),
    bedrock(
        "model not ready",
        429,
        "overloaded",
        "ModelNotReadyException",
        "The model is not ready to serve requests",
    ),
    bedrock(
        "server error, a 503 in LiteLLM",
        500,
        "overloaded",
        "InternalServerException",
        "Internal error",
    ),
    bedrock(
        "unavailable",
        503,
        "overloaded",
        "ServiceUnavailableException",
        "Bedrock is unable to process your request.",
    ),
]
OPENROUTER = [
    openrouter("invalid request", 400, "invalid_request", "Input required: specify 'messages'"),
    openrouter(
        "prompt longer than the context",
        400,
        "context_overflow",
        "This endpoint's maximum context length is 131072 tokens. However, you requested about"
        " 200000 tokens.",
    ),
    openrouter(
        "the error of the vendor behind it",
        400,
        "context_overflow",
        "Provider returned error",
        metadata={
            "raw": '{"error": {"message": "too long", "code": "context_length_exceeded"}}',
            "provider_name": "OpenAI",
        },
    ),
    openrouter("wrong key", 401, "auth", "No auth credentials found"),
    openrouter(
        "empty account",
        402,
        "billing",
        "This request requires more credits, or fewer max_tokens.",
    ),
    openrouter(
        "flagged",
        403,
        "content_policy",
        "This model requires moderation.",
        metadata={"reasons": ["violence"], "flagged_input": "..."},
    ),
    openrouter("limit of the key", 403, "quota_exhausted", "Key limit exceeded (total limit)."),
    openrouter("unknown model", 400, "not_found", "no/such is not a valid model ID"),
    openrouter("no vendor", 404, "not_found", "No endpoints found for no/such."),
    openrouter(
        "tools for a model without", 404, "unsupported", "No endpoints found that support tool use."
    ),
    openrouter("timeout", 408, "timeout", "Request timed out"),
    openrouter(
        "a day's free requests used up",
        429,
        "rate_limited",
        "Rate limit exceeded: free-models-per-day.",
        metadata={"headers": {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": IN_A_DAY_MS}},
        wait_s=86_400.0,
    ),
    openrouter("vendor down", 502, "server_error", "Provider returned error"),
    openrouter("no vendor free", 503, "overloaded", "No instances available"),
]
