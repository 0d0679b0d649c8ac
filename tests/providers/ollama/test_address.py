"""Where the server is: the order of the sources, OLLAMA_HOST as Ollama reads it, and what is refused."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._address import (
    DEFAULT_OLLAMA_URL,
    OLLAMA_BASE_URL_ENV,
    Address,
    display_url,
    is_loopback,
    parse_url,
    resolve_address,
)

_SOURCES = {
    "base_url": "http://explicit:1",
    OLLAMA_BASE_URL_ENV: "http://own:2",
    "host and port": "http://parts:3",
    "OLLAMA_HOST": "http://theirs:4",
}


@pytest.mark.parametrize("present", list(itertools.product([True, False], repeat=4)))
def test_the_highest_source_that_is_written_wins(present: tuple[bool, ...]):
    written = [origin for origin, is_written in zip(_SOURCES, present, strict=True) if is_written]
    environ = {}
    if OLLAMA_BASE_URL_ENV in written:
        environ[OLLAMA_BASE_URL_ENV] = "http://own:2"
    if "OLLAMA_HOST" in written:
        environ["OLLAMA_HOST"] = "theirs:4"

    address = resolve_address(
        base_url="http://explicit:1" if "base_url" in written else None,
        host="parts" if "host and port" in written else None,
        port=3 if "host and port" in written else None,
        environ=environ,
    )

    expected = (_SOURCES[written[0]], written[0]) if written else (DEFAULT_OLLAMA_URL, "default")
    assert (address.url, address.origin) == expected


@pytest.mark.parametrize("empty", ["", "  ", '""', "' '"])
def test_an_empty_variable_is_unset(empty: str):
    environ = {"OLLAMA_HOST": empty}
    if not empty.strip():
        environ[OLLAMA_BASE_URL_ENV] = empty

    assert resolve_address(environ=environ) == Address(DEFAULT_OLLAMA_URL, "default")


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:1234", "http://1.2.3.4:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("box", "http://box:11434"),
        ("box.example.com:80", "http://box.example.com:80"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("https://1.2.3.4", "https://1.2.3.4:443"),
        ("https://1.2.3.4:4321", "https://1.2.3.4:4321"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        ("http://[::1]", "http://[::1]:80"),
        ("https://example.com/ollama", "https://example.com:443/ollama"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("example.com:56789/", "http://example.com:56789"),
        (" 1.2.3.4 ", "http://1.2.3.4:11434"),
        ('"1.2.3.4"', "http://1.2.3.4:11434"),
        ("' 1.2.3.4 '", "http://1.2.3.4:11434"),
        ("ollama.com", "https://ollama.com:443"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        ("https://0.0.0.0:4321", "https://127.0.0.1:4321"),
        ("[::]", "http://[::1]:11434"),
        ("[::]:1234", "http://[::1]:1234"),
        ("::", "http://[::1]:11434"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(value: str, url: str):
    assert resolve_address(environ={"OLLAMA_HOST": value}) == Address(url, "OLLAMA_HOST")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        (":66000", "http://127.0.0.1:11434"),
        (":-1", "http://127.0.0.1:11434"),
        ("127.0.0.1:99999", "http://127.0.0.1:11434"),
        ("1.2.3.4:", "http://1.2.3.4:11434"),
        ("box:abc", "http://box:11434"),
        ("https://box:abc", "https://box:443"),
    ],
)
def test_an_invalid_port_in_ollama_host_becomes_the_default_with_a_warning(value: str, url: str):
    address = resolve_address(environ={"OLLAMA_HOST": value})

    assert address.url == url
    assert address.warning is not None
    assert address.warning.startswith("OLLAMA_HOST: invalid port")


@pytest.mark.parametrize(
    "value", ["ftp://box", "a b", "[box", "box]:1", "u:secret@box", "http://u:secret@box:1"]
)
def test_an_ollama_host_that_reaches_nothing_is_refused_without_its_secrets(value: str):
    with pytest.raises(UsageError, match="OLLAMA_HOST") as caught:
        resolve_address(environ={"OLLAMA_HOST": value})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("box", None, "http://box:11434"),
        (None, 1, "http://localhost:1"),
        ("0.0.0.0", 5, "http://127.0.0.1:5"),
        ("::1", 5, "http://[::1]:5"),
        ("[::1]", 5, "http://[::1]:5"),
        ("::", None, "http://[::1]:11434"),
        (" Box ", 5, "http://box:5"),
    ],
)
def test_host_and_port_make_a_url(host: str | None, port: int | None, url: str):
    assert resolve_address(host=host, port=port, environ={}).url == url


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("http://box", None, "host 'http://box' is a URL"),
        ("box:1", 1, "holds a port"),
        ("bad host", None, "not the name or address"),
        ("box", 0, "port must be a whole number from 1 to 65535, not 0"),
        ("box", 65536, "not 65536"),
    ],
)
def test_a_bad_host_or_port_is_refused(host: str, port: int | None, message: str):
    with pytest.raises(UsageError, match=message):
        resolve_address(host=host, port=port, environ={})


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        (" http://localhost:11434/ ", "http://localhost:11434"),
        ("HTTP://LocalHost", "http://localhost"),
        ("https://example.com/ollama//", "https://example.com/ollama"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("http://[::]:11434", "http://[::1]:11434"),
        ("http://[0:0:0:0:0:0:0:1]:5", "http://[::1]:5"),
        ("http://localhost:", "http://localhost"),
        ("http://my_box.lan:1/a b".replace(" ", "%20"), "http://my_box.lan:1/a%20b"),
    ],
)
def test_an_explicit_url_is_tidied(written: str, url: str):
    assert resolve_address(base_url=written, environ={}).url == url


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "has no scheme"),
        ("localhost:11434", "has no scheme"),
        ("ftp://localhost", "only http and https"),
        ("http://", "has no host"),
        ("http://:11434", "has no host"),
        ("http://box:99999", "from 1 to 65535, not '99999'"),
        ("http://box:0", "from 1 to 65535"),
        ("http://box:x", "not 'x'"),
        ("http://box:1:2", "without brackets"),
        ("http://::1", "without brackets"),
        ("http://[::1", "broken IPv6"),
        ("http://[::1]x", "broken IPv6"),
        ("http://[box]", "broken IPv6"),
        ("http://bo x", "contains a blank"),
        ("http://box/\x00", "control character"),
        ("http://box?x=1", "query"),
        ("http://box#x", "fragment"),
        ("http://bö%x", "not the name"),
        ("http://-box", "not the name"),
    ],
)
def test_a_bad_url_says_what_is_wrong(written: str, message: str):
    with pytest.raises(UsageError, match="base_url") as caught:
        resolve_address(base_url=written, environ={})
    assert message in str(caught.value)


def test_a_bad_variable_is_named():
    with pytest.raises(UsageError, match=OLLAMA_BASE_URL_ENV):
        resolve_address(environ={OLLAMA_BASE_URL_ENV: "box"})


def test_user_information_becomes_a_header_and_shows_nowhere():
    address = resolve_address(base_url="http://ada:pa%40ss@box:1", environ={})

    assert address.url == "http://box:1"
    assert address.authorization == "Basic YWRhOnBhQHNz"
    assert "YWRh" not in repr(address)


@pytest.mark.parametrize(
    "written",
    [
        "http://ada:secret@box:99999",
        "http://ada:secret@",
        "http://ada:se/secret@box",
        "http://ada:se?secret@box",
        "ada:secret@box:1",
        "ftp://ada:secret@box",
        "ada:secret@x://box",
        "http://ada:secret@bo x",
    ],
)
def test_an_error_never_shows_user_information(written: str):
    with pytest.raises(UsageError) as caught:
        parse_url(written)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:11434", True),
        ("http://LOCALHOST.", True),
        ("http://a.localhost", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://0.0.0.0:1", True),
        ("http://192.168.1.100:11434", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://[fe80::1]", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_loopback_is_only_this_machine(url: str, expected: bool):
    assert is_loopback(url) is expected


@given(st.text())
def test_reading_any_text_gives_a_usable_url_or_a_usage_error(text: str):
    try:
        address = parse_url(text)
    except UsageError:
        return
    _assert_usable(address)
    assert parse_url(address.url).url == address.url


@pytest.mark.fault(11)
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="[]:/.0123456789abhtps@\"' "),
        st.from_regex(
            r"(http://|https://)?(\[::1?\]|1\.2\.3\.4|box)(:[0-9]{1,6})?(/[a-z]*)?", fullmatch=True
        ),
    )
)
def test_reading_any_ollama_host_gives_a_usable_url_or_a_usage_error(text: str):
    try:
        address = resolve_address(environ={"OLLAMA_HOST": text})
    except UsageError:
        return
    _assert_usable(address)


def _assert_usable(address: Address) -> None:
    parts = urlsplit(address.url)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert "@" not in parts.netloc
    assert parts.port is None or 0 <= parts.port <= 65535
    assert not address.url.endswith("/")


_WORD = st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


@given(
    user=_WORD,
    password=_WORD.map(lambda word: f"secret{word}"),
    host=st.from_regex(r"[a-z]{1,9}", fullmatch=True),
)
def test_a_displayed_url_has_no_user_information(user: str, password: str, host: str):
    assert display_url(f"http://{user}:{password}@{host}:1/x") == f"http://{host}:1/x"
