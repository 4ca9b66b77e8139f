"""Forms with files: any content comes out as it went in, read by a parser that is not ours."""

from __future__ import annotations

from email.parser import BytesHeaderParser
from email.policy import HTTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from pipeline.channels.multipart import multipart


def read(kind: str, body: bytes) -> list[tuple[str | None, str | None, str | None, bytes]]:
    """Name, file name, MIME type and content of each part, by the letter of the standard."""
    header = BytesHeaderParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode())[
        "Content-Type"
    ]
    assert header.content_type == "multipart/form-data"
    marker = b"\r\n--" + header.params["boundary"].encode()
    first, *parts, last = (b"\r\n" + body).split(marker)
    assert (first, last) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        fields = BytesHeaderParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
        disposition = fields["Content-Disposition"]
        assert disposition.content_disposition == "form-data"
        parameters = disposition.params
        mime = fields["Content-Type"].content_type if "Content-Type" in fields else None
        found.append((parameters.get("name"), parameters.get("filename"), mime, content))
    return found


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.binary())
def test_any_content_comes_out_as_it_went_in(text: str, data: bytes):
    kind, body = multipart({"description": text, "focus": "0,0"}, [("file", "p.png", "image/png", data)])
    assert read(kind, body) == [
        ("description", None, None, text.encode()),
        ("focus", None, None, b"0,0"),
        ("file", "p.png", "image/png", data),
    ]


def test_the_bytes_are_those_of_another_library():
    fields = {"description": "Une place, été", "empty": ""}
    kind, body = multipart(fields, [("file", "p.jpg", "image/jpeg", b"\xff\xd8\r\n--x\r\n")])
    boundary = kind.partition("boundary=")[2]
    theirs = [*fields.items(), ("file", ("p.jpg", b"\xff\xd8\r\n--x\r\n", "image/jpeg"))]
    assert (body, kind) == encode_multipart_formdata(theirs, boundary)


def test_the_same_content_gives_the_same_bytes_and_other_content_another_boundary():
    first = multipart({"a": "1"}, [("file", "p", "image/png", b"x")])
    assert first == multipart({"a": "1"}, [("file", "p", "image/png", b"x")])
    assert first[0] != multipart({"a": "2"}, [("file", "p", "image/png", b"x")])[0]


def test_content_that_holds_the_boundary_of_other_content_gets_another():
    boundary = multipart({"a": "x"})[0].partition("boundary=")[2]
    kind, body = multipart({"a": "x", "b": f"--{boundary}--"})
    assert [content for *_, content in read(kind, body)] == [b"x", f"--{boundary}--".encode()]


def test_names_cannot_break_out_of_their_line():
    kind, body = multipart({'a"\r\nX: y': "1"}, [('f"', '"\r\n.png', "image/png", b"")])
    assert body.count(b"\r\n\r\n") == 2
    assert [(name, filename) for name, filename, *_ in read(kind, body)] == [
        ("a%22%0D%0AX: y", None),
        ("f%22", "%22%0D%0A.png"),
    ]
    with pytest.raises(ValueError, match="is not a MIME type"):
        multipart({}, [("file", "p", "image/png\r\nX: y", b"")])


def test_what_has_no_bytes_of_its_own_becomes_a_question_mark():
    kind, body = multipart({"a": "\ud83d"})
    assert read(kind, body) == [("a", None, None, b"?")]
