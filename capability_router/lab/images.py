"""The endpoints that draw and change pictures: valid PNG files of one colour.

The colour follows from the provider, the prompt and the number of the picture, so that answers can
be told apart; nothing is drawn.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from capability_router.lab.multipart import Form, flag_text, number_text, uploads
from capability_router.lab.pictures import picture_kind, png
from capability_router.lab.refusals import invalid
from capability_router.lab.validation_values import (
    Check,
    check_fields,
    filled,
    one_of,
    text,
    unfit,
    whole,
)

__all__ = [
    "edit_reply",
    "generation_reply",
]

_MOST_IMAGES = 16

# What the real service counts for a square picture; a larger one counts as much here.
_TOKENS: Mapping[str, int] = {"low": 272, "medium": 1056, "high": 4160}
_QUALITIES: Mapping[str, str] = {"auto": "medium", "standard": "medium", "hd": "high"}


def generation_reply(provider: str, body: Mapping[str, object], created: int) -> dict[str, object]:
    """Answer a request for pictures.

    Args:
        provider: Name of the provider, which ``revised_prompt`` repeats before the prompt.
        body: OpenAI's request; ``response_format`` is ``b64_json`` by default, and ``url`` gives
            data URLs, which need no second request.
        created: Unix time in whole seconds.

    Returns:
        OpenAI's reply with ``n`` pictures of the ``size`` asked for.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_fields(body, _GENERATION_FIELDS, {}, needed=["prompt"])
    return _reply(provider, body, created, images=0)


def edit_reply(provider: str, form: Form, created: int) -> dict[str, object]:
    """Answer a request to change pictures, as :func:`generation_reply` does.

    Args:
        provider: Name of the provider.
        form: OpenAI's request, with one to 16 files as ``image`` and one as ``mask`` if it has one.
        created: Unix time in whole seconds.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    fields = {name: flag_text(value) for name, value in form.items()}
    check_fields(fields, _EDIT_FIELDS, {}, needed=["image", "prompt"])
    images = uploads(form["image"], "image", _MOST_IMAGES)
    return _reply(provider, fields, created, images=len(images))


def _reply(
    provider: str, body: Mapping[str, object], created: int, images: int
) -> dict[str, object]:
    prompt = str(body["prompt"])
    size = _chosen(body, "size", "1024x1024")
    quality = _chosen(body, "quality", "medium")
    quality = _QUALITIES.get(quality, quality)
    count = int(_chosen(body, "n", "1"))
    encoding = _chosen(body, "response_format", "b64_json")
    echoed = f"{provider} echoes: {prompt}"
    return {
        "created": created,
        "background": "opaque",
        "output_format": "png",
        "quality": quality,
        "size": size,
        "data": [_picture(echoed, number, size, encoding) for number in range(count)],
        "usage": _usage(len(prompt.split()), images, count * _TOKENS[quality]),
    }


def _chosen(body: Mapping[str, object], field: str, default: str) -> str:
    value = body.get(field)
    return default if value in (None, "auto") else str(value)


def _picture(echoed: str, number: int, size: str, encoding: str) -> dict[str, object]:
    width, _, height = size.partition("x")
    colour = hashlib.sha256(f"{number} {echoed}".encode("utf-8", "replace")).digest()[:3]
    data = base64.b64encode(png(int(width), int(height), colour)).decode()
    content = f"data:image/png;base64,{data}" if encoding == "url" else data
    return {encoding: content, "revised_prompt": echoed}


def _usage(words: int, images: int, drawn: int) -> dict[str, object]:
    return {
        "input_tokens": words + images,
        "input_tokens_details": {"text_tokens": words, "image_tokens": images},
        "output_tokens": drawn,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": drawn},
        "total_tokens": words + images + drawn,
    }


def _check_images(value: object, place: str) -> None:
    for file in uploads(value, place, _MOST_IMAGES):
        if picture_kind(file.content) is None:
            raise unfit(place, f"PNG, JPEG or WEBP files, but '{file.filename}' is none")


def _check_mask(value: object, place: str) -> None:
    (file,) = uploads(value, place)
    if picture_kind(file.content) != "png":
        raise unfit(place, f"a PNG file, but '{file.filename}' is none")


def _check_output_format(value: object, place: str) -> None:
    one_of("png", "jpeg", "webp")(value, place)
    if value != "png":
        raise invalid(f"The lab draws PNG: leave '{place}' out or set it to 'png'.", place)


def _check_background(value: object, place: str) -> None:
    one_of("transparent", "opaque", "auto")(value, place)
    if value == "transparent":
        raise invalid("Transparent background is not supported for this model.", place)


def _check_stream(value: object, place: str) -> None:
    if value is not False:
        raise invalid(f"The lab does not stream pictures: leave '{place}' out.", place)


_SIZES = ("auto", "256x256", "512x512", "1024x1024", "1536x1024", "1024x1536", "1792x1024")

_FIELDS: Mapping[str, Check] = {
    "background": _check_background,
    "model": filled(),
    "moderation": one_of("low", "auto"),
    "n": whole(1, 10),
    "output_compression": whole(0, 100),
    "output_format": _check_output_format,
    "partial_images": whole(0, 3),
    "prompt": filled(32_000),
    "quality": one_of("standard", "hd", "low", "medium", "high", "auto"),
    "response_format": one_of("b64_json", "url"),
    "size": one_of(*_SIZES, "1024x1792"),
    "stream": _check_stream,
    "user": text,
}

_GENERATION_FIELDS: Mapping[str, Check] = {**_FIELDS, "style": one_of("vivid", "natural")}

_NUMBERS = ("n", "output_compression", "partial_images")
_EDIT_FIELDS: Mapping[str, Check] = {
    **_FIELDS,
    **{field: number_text(_FIELDS[field]) for field in _NUMBERS},
    "image": _check_images,
    "input_fidelity": one_of("high", "low"),
    "mask": _check_mask,
}
