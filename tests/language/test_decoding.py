from __future__ import annotations

import pytest

from namel3ss.language import decode_source, parse
from namel3ss.language.parser import MAX_BYTES


def test_text_is_kept_as_it_is() -> None:
    source, findings = decode_source("\ufeffa: é\r\n".encode(), "a.ai")

    assert findings == ()
    assert source is not None
    assert (source.text, source.path) == ("\ufeffa: é\r\n", "a.ai")


@pytest.mark.parametrize(
    ("data", "code", "text"),
    [
        (b"%PDF-1.5\r", "N3902", "Illustrator"),
        (b"\n%!PS-Adobe-3.0", "N3902", "PostScript"),
        (b"ai model m {\0}", "N3902", "binary"),
        ("ai".encode("utf-16"), "N3902", "UTF-16"),
        (b"x" * (MAX_BYTES + 1), "N3903", "8,388,608"),
        (b"ai model \xff", "N3901", "0xFF at offset 9"),
        (b"ai \xe2\x82", "N3901", "0xE2 at offset 3"),
    ],
)
def test_what_is_no_text_is_one_finding_that_says_why(data: bytes, code: str, text: str) -> None:
    source, (finding,) = decode_source(data, "a.ai")

    assert source is None
    assert finding.code == code
    assert text in finding.message


def test_a_byte_that_is_not_utf8_is_shown_in_its_line() -> None:
    _, (finding,) = decode_source("é\nab".encode() + b"\xff" + b"cd\nnext", "a.ai")

    assert finding.location == "a.ai:2:3"
    assert finding.source.line_text(2) == "ab\ufffdcd"


@pytest.mark.security(40)
def test_a_text_over_the_limit_is_refused_with_one_finding() -> None:
    result = parse("#" * (MAX_BYTES + 1))

    assert [finding.code for finding in result.diagnostics] == ["N3903"]
    assert result.tree.items == ()
