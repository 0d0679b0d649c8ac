from __future__ import annotations

import io
import json
import logging
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import namel3ss
from namel3ss.observability.logs import (
    LOGGERS,
    JsonFormatter,
    LineFormatter,
    fields,
    is_content_logged,
    one_line,
    redact_headers,
    redact_text,
    redact_url,
)

SECRET = "s3cr3t-canary"


def logged(formatter: logging.Formatter, message: str, *args: object, **more: object) -> str:
    """What a handler with this formatter writes for one record."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    handler.handle(logging.makeLogRecord({"name": "namel3ss.x", "levelno": 30, "levelname": "WARNING", "msg": message,
                                          "args": args, **more}))  # fmt: skip
    return written.getvalue()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:11434/api/chat", "http://localhost:11434/api/chat"),
        (f"https://user:{SECRET}@host:443/x", "https://***@host:443/x"),
        (f"https://{SECRET}@host/x", "https://***@host/x"),
        (f"http://host/x?api_key={SECRET}&model=tiny", "http://host/x?api_key=***&model=tiny"),
        (f"http://host/x?access_token={SECRET}#part", "http://host/x?access_token=***#part"),
        (f"http://[::1]:11434/?key={SECRET}", "http://[::1]:11434/?key=***"),
        (f"http://[broken/{SECRET}", "***"),
    ],
)
def test_a_url_loses_credentials_and_secret_parameters(url: str, expected: str) -> None:
    assert redact_url(url) == expected


def test_headers_with_credentials_are_masked_and_others_kept() -> None:
    headers = {
        "Authorization": f"Bearer {SECRET}",
        "X-Api-Key": SECRET,
        "Cookie": SECRET,
        "Set-Cookie": SECRET,
        "Proxy-Authorization": SECRET,
        "X-Auth-Token": SECRET,
        "Accept": "*/*",
    }

    redacted = redact_headers(headers)

    assert SECRET not in str(redacted)
    assert redacted["Accept"] == "*/*"


@pytest.mark.security(25)
@pytest.mark.parametrize(
    "text",
    [
        f"GET http://me:{SECRET}@host/ failed",
        f"sent Authorization: Bearer {SECRET}",
        f"sent authorization=basic {SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        f"OLLAMA_API_KEY={SECRET} is wrong",
        f"password: {SECRET}",
        f"client_secret='{SECRET}'",
        f"GET /k/n3k_0a1b2c3d_{SECRET}/api/tags",
        f"the session n3s_0a1b2c3d_{SECRET} ended",
    ],
)
def test_secrets_in_a_sentence_are_masked(text: str) -> None:
    assert SECRET not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize("part", ["a", "-", "a.", "token", "://"])
def test_a_long_text_is_masked_in_time_in_proportion_to_its_length(part: str) -> None:
    # Tried again from each letter, this would take minutes, and whoever can be logged could stop a server.
    text = part * (200_000 // len(part))
    assert redact_text(f"{text} secret={SECRET}") == f"{text} secret=***"


@pytest.mark.parametrize(
    "text",
    [
        "26 prompt tokens: 10 generated",
        "token 7 of 9",
        "max_tokens=256",
        "no key found",
        "http://localhost:11434",
    ],
)
def test_ordinary_sentences_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("formatter", [LineFormatter(), JsonFormatter()])
def test_formatters_write_no_secret_in_message_arguments_fields_or_tracebacks(
    formatter: logging.Formatter,
) -> None:
    try:
        raise ValueError(f"http://user:{SECRET}@host/")
    except ValueError as error:
        caught = (ValueError, error, error.__traceback__)

    written = logged(
        formatter,
        "asking %s with %s",
        f"http://host/?token={SECRET}",
        f"Bearer {SECRET}",
        exc_info=caught,
        **fields(api_key=SECRET, url=f"http://a:{SECRET}@b/", model="tiny"),
    )

    assert SECRET not in written
    assert "asking http://host/?token=***" in written


def test_a_structured_record_is_one_json_object_with_its_fields() -> None:
    written = logged(
        JsonFormatter(), "pulled %s", "tiny", **fields(model="tiny", prompt_tokens=26, took_s=1.5)
    )

    entry = json.loads(written)
    assert {key: entry[key] for key in ("level", "logger", "message", "fields")} == {
        "level": "warning",
        "logger": "namel3ss.x",
        "message": "pulled tiny",
        "fields": {"model": "tiny", "prompt_tokens": 26, "took_s": 1.5},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", entry["time"])


@pytest.mark.security(26)
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_nobody_can_forge_a_record_with_line_ends_or_escape_sequences(text: str) -> None:
    line = logged(LineFormatter(), "model %s is unknown", text).removesuffix("\n")
    structured = logged(JsonFormatter(), "model %s is unknown", text)

    assert len(line.splitlines()) == 1
    assert not [character for character in line if unicodedata.category(character) == "Cc"]
    assert structured.isascii()
    assert structured.count("\n") == 1


def test_a_long_message_is_cut_and_says_so() -> None:
    assert one_line("x" * 3_000) == "x" * 2_000 + "… (1000 more)"


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), ("true", True), ("", False), ("0", False), ("all", False)]
)
def test_content_is_logged_only_with_the_one_switch(value: str, expected: bool) -> None:
    assert is_content_logged({"NAMEL3SS_LOG_CONTENT": value}) is expected
    assert not is_content_logged({})


def test_every_logger_of_the_package_stands_below_a_documented_name() -> None:
    """A logger is named after its module, or by a name that stands in the list or one level below."""
    package = Path(namel3ss.__file__).parent
    for path in package.rglob("*.py"):
        for argument in re.findall(r"getLogger\(([^)]*)\)", path.read_text(encoding="utf-8")):
            name = argument.strip().strip("\"'")
            known = name in ("__name__", "opentelemetry", "pygls", *LOGGERS)
            known = known or name.rpartition(".")[0] in set(LOGGERS) - {"namel3ss"}
            assert known, f"{path}: getLogger({argument})"
