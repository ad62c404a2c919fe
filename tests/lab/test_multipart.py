"""Forms with files: what is read of them, and what is refused."""

import httpx
import pytest

from capability_router.lab import Lab
from capability_router.lab.multipart import Upload, described, read_form
from capability_router.lab.sounds import wav

HEAD = b'Content-Disposition: form-data; name="a"\r\n\r\n'


def form(*parts: bytes, end: bytes = b"--xx--\r\n") -> bytes:
    return b"".join(b"--xx\r\n" + part + b"\r\n" for part in parts) + end


def part(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def read(body: bytes) -> object:
    return read_form("multipart/form-data; boundary=xx", body)


def test_form_of_a_real_client_is_read_back_as_it_was_sent() -> None:
    files = {"file": ('ü; "x" 100%20.wav', b"\r\n--no\0boundary", "audio/wav")}
    request = httpx.Request("POST", "http://lab", data={"model": "m", "n": "2"}, files=files)
    found = read_form(request.headers["content-type"], request.read())
    upload = Upload('ü; "x" 100%20.wav', "audio/wav", b"\r\n--no\0boundary")
    assert found == {"model": "m", "n": "2", "file": upload}


def test_field_is_a_list_where_it_came_twice_or_with_brackets() -> None:
    body = form(part("one", "1"), part("two", "1"), part("two", "2"), part("list[]", "1"))
    assert read(body) == {"one": "1", "two": ["1", "2"], "list": ["1"]}


def test_encoded_name_of_a_file_goes_before_the_plain_one() -> None:
    names = "filename=\"u.wav\"; filename*=UTF-8''%C3%BC.wav"
    head = f'content-disposition: form-data; name="file"; {names}\r\n\r\nRIFF'
    assert read(form(head.encode())) == {"file": Upload("ü.wav", "", b"RIFF")}


def test_quoted_boundary_and_spaces_after_the_end_are_allowed() -> None:
    body = form(part("a", "1"), end=b"--xx--  \r\n")
    assert read_form('multipart/form-data; charset=utf-8; boundary="xx"', body) == {"a": "1"}


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("multipart/form-data", form(part("a", "1")), "names no boundary"),
        ("multipart/form-data; boundary=xx", b"", "does not begin"),
        ("multipart/form-data; boundary=xx", b"{}", "does not begin"),
        ("multipart/form-data; boundary=xx", b"text" + form(part("a", "1")), "does not begin"),
        ("multipart/form-data; boundary=xx", b"a\r\n" + form(part("a", "1")), "does not begin"),
        ("multipart/form-data; boundary=xx", form(part("a", "1"), end=b""), "has no end"),
        ("multipart/form-data; boundary=yy", form(part("a", "1")), "does not begin"),
        ("multipart/form-data; boundary=xx", form(HEAD.rstrip()), "no blank line"),
        ("multipart/form-data; boundary=xx", form(b"Content-Type: a/b\r\n\r\n1"), "no name"),
        ("multipart/form-data; boundary=xx", form(HEAD.replace(b"form-data", b"file")), "no name"),
        ("multipart/form-data; boundary=xx", form(HEAD + b"\xff"), "decode"),
    ],
)
def test_form_that_breaks_the_rules_is_refused_with_the_reason(
    provider_lab: Lab, raw: httpx.Client, content_type: str, body: bytes, reason: str
) -> None:
    provider = provider_lab["alpha"]
    url = f"{provider.base_url}/audio/transcriptions"
    response = raw.post(url, content=body, headers={"content-type": content_type})
    assert response.status_code == 400
    assert reason in response.json()["error"]["message"]
    assert provider.requests[0].body is None


def test_wire_log_has_fields_as_texts_and_files_without_their_content(
    provider_lab: Lab, raw: httpx.Client
) -> None:
    provider = provider_lab["alpha"]
    sound = wav()
    files = [("file", ("a.wav", sound, "audio/wav"))]
    data = {"model": "m", "stream": "false"}
    raw.post(f"{provider.base_url}/audio/transcriptions", data=data, files=files)
    (request,) = provider.requests
    file = {"filename": "a.wav", "content_type": "audio/wav", "size": len(sound)}
    assert request.body == {"model": "m", "stream": "false", "file": file}
    assert (request.path, request.stream) == ("/v1/audio/transcriptions", False)


def test_form_that_asks_for_a_stream_is_logged_as_one(provider_lab: Lab, raw: httpx.Client) -> None:
    provider = provider_lab["alpha"]
    files = {"file": ("a.wav", wav())}
    data = {"model": "m", "stream": "true"}
    raw.post(f"{provider.base_url}/audio/transcriptions", data=data, files=files)
    assert provider.requests[0].stream


def test_description_of_a_list_describes_each_file() -> None:
    files: list[str | Upload] = [Upload("a", "b/c", b"12"), Upload("d", "", b"")]
    assert described({"image": files}) == {
        "image": [
            {"filename": "a", "content_type": "b/c", "size": 2},
            {"filename": "d", "content_type": "", "size": 0},
        ]
    }


def test_content_of_a_file_is_not_shown() -> None:
    assert "secret" not in repr(Upload("a", "b/c", b"secret"))


@pytest.mark.parametrize("path", ["/images/generations", "/chat/completions", "/responses"])
def test_endpoint_for_json_refuses_a_form(provider_lab: Lab, raw: httpx.Client, path: str) -> None:
    files = {"file": ("a.wav", wav())}
    url = f"{provider_lab['alpha'].base_url}{path}"
    response = raw.post(url, data={"model": "m", "prompt": "a", "input": "a"}, files=files)
    assert response.status_code == 400
    assert "JSON object" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/images/edits", "/audio/transcriptions"])
def test_endpoint_for_forms_refuses_json(provider_lab: Lab, raw: httpx.Client, path: str) -> None:
    response = raw.post(f"{provider_lab['alpha'].base_url}{path}", json={"model": "m"})
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert "'multipart/form-data', but got 'application/json'" in message
