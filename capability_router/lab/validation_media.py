"""Which pictures, sounds and files a message may carry: data that is base64, or an address."""

from __future__ import annotations

import base64
import re

from capability_router.lab.validation_values import one_of, required, structure, text, unfit

__all__ = [
    "check_audio",
    "check_base64",
    "check_file",
    "check_image_url",
    "check_web_address",
]

_IMAGE_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,(.*)", re.DOTALL)
_FILE_DATA = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,(.*)", re.DOTALL)
_WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")


def check_image_url(value: object, place: str) -> None:
    """Check a web address or a data URL of a picture.

    Raises:
        RefusedError: With a 400, if it is neither.
    """
    url = text(value, place)
    if not _WEB_ADDRESS.fullmatch(url):
        _check_data(
            url, _IMAGE_DATA, place, "a web address or a base64-encoded data URL of an image"
        )


def check_audio(value: object, place: str) -> None:
    """Check a sound: its ``data`` and its ``format``.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    audio = structure(value, place)
    check_base64(required(audio, "data", place), f"{place}.data", "audio")
    one_of("wav", "mp3")(required(audio, "format", place), f"{place}.format")


def check_file(value: object, place: str) -> None:
    """Check a file: its ``file_id``, or its ``file_data`` and ``filename``.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    file = structure(value, place)
    if file.get("file_id") is not None:
        text(file["file_id"], f"{place}.file_id")
        return
    data = text(required(file, "file_data", place), f"{place}.file_data")
    _check_data(data, _FILE_DATA, f"{place}.file_data", "a base64-encoded data URL")
    text(required(file, "filename", place), f"{place}.filename")


def check_base64(value: object, place: str, content: str) -> None:
    """Check base64 of something that is not empty; ``content`` names it in the error.

    Raises:
        RefusedError: With a 400, if it is none.
    """
    if not _is_base64(text(value, place)):
        raise unfit(place, f"base64-encoded {content}")


def check_web_address(value: object, place: str) -> None:
    """Check an address that begins with ``http://`` or ``https://``.

    Raises:
        RefusedError: With a 400, if it is none.
    """
    if not _WEB_ADDRESS.fullmatch(text(value, place)):
        raise unfit(place, "a web address")


def _check_data(url: str, form: re.Pattern[str], place: str, expected: str) -> None:
    found = form.fullmatch(url)
    if found is None or not _is_base64(found[1]):
        raise unfit(place, expected)


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except ValueError:
        return False
    return bool(data)
