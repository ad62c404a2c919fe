"""Forms with files: the multipart/form-data that clients send for pictures and sounds.

A form is read as strictly as JSON: what breaks its rules is refused with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from capability_router.lab.json_values import as_sequence
from capability_router.lab.refusals import invalid
from capability_router.lab.validation_values import Check

__all__ = [
    "Form",
    "Upload",
    "described",
    "flag_text",
    "form_of",
    "is_form",
    "number_text",
    "read_form",
    "uploads",
]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form.

    Attributes:
        filename: As the client calls it.
        content_type: Media type the client gives, empty where it gives none.
        content: The file.
    """

    filename: str
    content_type: str
    content: bytes = field(repr=False)


FormValue = str | Upload | list[str | Upload]

# A list where the field came more than once, or with "[]" after its name, which falls away.
Form = Mapping[str, FormValue]

# The characters that would end a quoted name or its line, and nothing else, are sent like this.
_ESCAPED = re.compile("%22|%0D|%0A", re.IGNORECASE)

_PARAMETER = re.compile(r';\s*([\w*-]+)=(?:"([^"]*)"|([^\s;"]+))')


def is_form(headers: Mapping[str, str]) -> bool:
    """Tell whether a request says that its body is a form."""
    kind, _, _ = headers.get("content-type", "").partition(";")
    return kind.strip().lower() == "multipart/form-data"


def form_of(headers: Mapping[str, str], body: bytes) -> Form:
    """Read the body of a request to an endpoint that takes forms.

    Raises:
        RefusedError: With a 400, if it is no form or breaks the rules of forms.
    """
    if not is_form(headers):
        found = headers.get("content-type") or "nothing"
        raise invalid(f"Expected the Content-Type 'multipart/form-data', but got '{found}'.")
    try:
        return read_form(headers["content-type"], body)
    except ValueError as error:
        raise invalid(f"The body is no readable multipart/form-data: {error}.") from error


def read_form(content_type: str, body: bytes) -> Form:
    """Part a body into its fields and files.

    Args:
        content_type: The header, which names the boundary.
        body: The whole body.

    Raises:
        ValueError: If the body breaks the rules of forms; the message says which.
    """
    boundary = _parameters(content_type).get("boundary")
    if not boundary:
        raise ValueError("the Content-Type names no boundary")
    mark = b"\r\n--" + boundary.encode()
    # The first boundary begins the body, all others begin a line.
    before, *parts = (b"\r\n" + body).split(mark)
    if before or len(parts) < 2 or parts[-1].strip() != b"--":
        raise ValueError("the body does not begin with its boundary, or has no end")
    form: dict[str, FormValue] = {}
    for part in parts[:-1]:
        name, value = _read_part(part)
        _add(form, name, value)
    return form


def described(form: Form) -> dict[str, object]:
    """Make plain values of a form: texts as they are, files by name, media type and size."""
    return {
        name: [_description(each) for each in value]
        if isinstance(value, list)
        else _description(value)
        for name, value in form.items()
    }


def uploads(value: object, place: str, most: int = 1) -> list[Upload]:
    """Read the files of one field.

    Args:
        value: What the form holds.
        place: Name of the field.
        most: Most files it may have.

    Raises:
        RefusedError: With a 400, if it holds texts, more files than that, or an empty one.
    """
    found = as_sequence(value) or [value]
    files = [each for each in found if isinstance(each, Upload)]
    if len(files) < len(found):
        raise invalid(f"Invalid type for '{place}': expected a file.", place, "invalid_type")
    if len(files) > most:
        message = f"Invalid '{place}': expected {most} at most, but got {len(files)} files."
        raise invalid(message, place, "array_above_max_length")
    for file in files:
        if not file.content:
            raise invalid(f"Invalid '{place}': the file '{file.filename}' is empty.", place)
    return files


def number_text(check: Check) -> Check:
    """Make the check of a number that a form holds as text."""

    def check_text(value: object, place: str) -> object:
        return check(_number(value), place)

    return check_text


def flag_text(value: object) -> object:
    """Read ``true`` and ``false`` as JSON would, anything else as it is."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _read_part(part: bytes) -> tuple[str, str | Upload]:
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n"):
        raise ValueError("a part has no blank line after its headers")
    lines = (line.partition(":") for line in head.decode().split("\r\n")[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    disposition = headers.get("content-disposition", "")
    parameters = _parameters(disposition)
    name = parameters.get("name")
    if not disposition.startswith("form-data") or not name:
        raise ValueError("a part has no name in a Content-Disposition of form-data")
    filename = _filename(parameters)
    if filename is None:
        return name, content.decode()
    return name, Upload(filename, headers.get("content-type", ""), content)


def _filename(parameters: Mapping[str, str]) -> str | None:
    """Read a file's name; a client may send it encoded beside a plain one."""
    encoded = parameters.get("filename*")
    if encoded is not None:
        return unquote(encoded.rpartition("'")[2])
    plain = parameters.get("filename")
    return None if plain is None else _ESCAPED.sub(lambda found: unquote(found[0]), plain)


def _parameters(header: str) -> dict[str, str]:
    return {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(header)}


def _add(form: dict[str, FormValue], name: str, value: str | Upload) -> None:
    plain = name.removesuffix("[]")
    if plain not in form:
        form[plain] = [value] if name.endswith("[]") else value
        return
    held = form[plain]
    form[plain] = [*held, value] if isinstance(held, list) else [held, value]


def _description(value: str | Upload) -> object:
    if isinstance(value, str):
        return value
    size = len(value.content)
    return {"filename": value.filename, "content_type": value.content_type, "size": size}
