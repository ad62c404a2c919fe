"""The capability tree that ships with the package, as data: categories, subcategories, leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["DEFAULT_TREE", "TreeMapping"]

TreeMapping = Mapping[str, "Mapping[str, object] | Sequence[str] | None"]
"""A nested mapping of names; a sequence (or None for nothing) stands for leaves."""

DEFAULT_TREE: TreeMapping = {
    "generation": {
        "text-generation": ["chat-completion", "text-completion", "code-generation"],
        "structured-generation": [
            "json-generation",
            "schema-constrained-output",
            "function-call-generation",
        ],
        "image-generation": ["text-to-image", "image-to-image", "inpainting"],
        "audio-generation": ["text-to-speech", "music-generation"],
        "video-generation": ["text-to-video", "image-to-video"],
    },
    "understanding": {
        "text-understanding": [
            "summarization",
            "classification",
            "sentiment-analysis",
            "entity-extraction",
        ],
        "vision-understanding": ["image-captioning", "object-detection", "ocr"],
        "audio-understanding": ["speech-to-text", "speaker-identification", "audio-classification"],
        "document-understanding": ["document-parsing", "table-extraction", "form-extraction"],
        "video-understanding": ["video-captioning"],
    },
    "transformation": {
        "translation": None,
        "rewriting": None,
        "style-transfer": None,
        "image-editing": ["background-removal", "upscaling", "format-conversion"],
        "audio-processing": ["noise-reduction", "voice-cloning", "audio-separation"],
    },
    "representation": {
        "embeddings": ["text-embeddings", "image-embeddings", "multimodal-embeddings"],
        "tokenization": None,
        "feature-extraction": None,
    },
    "retrieval": {
        "search": ["semantic-search", "web-search", "image-search", "code-search"],
        "knowledge-graph": ["graph-query", "entity-linking", "relation-extraction"],
        "rag": ["retrieval-augmented-generation", "grounded-generation"],
        "reranking": None,
    },
    "interaction": {
        "tool-calling": None,
        "agent-execution": ["single-step-agent", "multi-step-agent"],
        "multi-turn-conversation": None,
        "realtime-conversation": None,
        "computer-use": None,
    },
    "evaluation": [
        "content-moderation",
        "toxicity-detection",
        "factuality-checking",
        "quality-scoring",
    ],
}
"""Seven categories; every name here is unique, so each resolves by its last segment alone."""
