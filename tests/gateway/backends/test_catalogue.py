"""What a server says of its models, as recorded and as no server should say it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namel3ss.gateway.backends.catalogue import (
    Catalogue,
    Details,
    Installed,
    UnreadableAnswerError,
    read_details,
    read_listing,
    read_version,
)
from namel3ss.gateway.backends.versions import version_warning

RECORDINGS = Path("tests/contract/wire").resolve()


def recorded(path: str) -> bytes:
    body = json.loads((RECORDINGS / path).read_text())["response"]["body"]
    assert isinstance(body, str)
    return body.encode()


def model(
    name: str, digest: str = "d", *, family: str = "llama", can: str | None = "completion"
) -> Installed:
    return Installed(name, digest, family, None if can is None else frozenset({can}))


@pytest.mark.parametrize("path", ["ollama-0.24.0/models/tags.json", "ollama-0.33.0-rc2/models/tags.json"])
def test_recorded_lists_are_read(path: str) -> None:
    models = read_listing(recorded(path))

    assert "tiny:latest" in {model.name for model in models}
    assert all(len(model.digest) == 64 and model.family == "llama" for model in models)


def test_recorded_list_of_what_is_loaded_is_read() -> None:
    assert {model.name for model in read_listing(recorded("ollama-0.24.0/models/ps.json"))} >= {"tiny:latest"}


def test_recorded_model_tells_what_it_can_do_and_whose_file_it_is() -> None:
    tiny, made = (
        read_details(recorded(f"ollama-0.24.0/models/{name}.json")) for name in ("show", "show-parameters")
    )
    embedding = read_details(recorded("ollama-0.24.0/models/show-embedding.json"))

    assert tiny.capabilities == frozenset({"completion"})
    assert embedding.capabilities == frozenset({"embedding"})
    assert tiny.blob is not None
    assert made.blob == tiny.blob != embedding.blob


READERS = [read_version, read_listing, read_details]
VALUES = st.none() | st.integers() | st.text(max_size=9)
SHAPES = st.dictionaries(
    st.sampled_from(["models", "version", "name", "details", "digest", "modelfile"]), VALUES
)
BODIES = st.binary(max_size=50) | (
    SHAPES | st.lists(SHAPES, max_size=2).map(lambda models: {"models": models})
).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=50)
@given(body=BODIES)
def test_anything_else_is_refused_and_nothing_breaks(read: type, body: bytes) -> None:
    with suppress(UnreadableAnswerError):
        read(body)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"version":""}', b'{"version":1}', b"Ollama is running", b"[" * 100_000]
)
def test_status_200_alone_is_no_version(body: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_version(body)


@pytest.mark.fault(62)
def test_model_that_was_not_found_is_lacking_until_it_is_listed_again() -> None:
    catalogue = Catalogue()
    catalogue.take_installed([model("tiny:latest")])
    assert not catalogue.lacks("TINY")

    assert catalogue.lost("tiny", "library/tiny")
    assert catalogue.lacks("tiny:latest")

    catalogue.take_installed([model("tiny:latest")])
    assert not catalogue.lacks("tiny")


@pytest.mark.security(30)
@pytest.mark.parametrize("spelling", ["Tiny", "tiny:LATEST", "Library/tiny", "tiny@x"])
def test_model_that_was_not_found_in_another_spelling_than_the_listed_one_is_not_lacking(
    spelling: str,
) -> None:
    catalogue = Catalogue()
    catalogue.take_installed([model("tiny:latest")])

    assert not catalogue.lost("tiny", spelling)
    assert not catalogue.lacks("tiny")


def test_nothing_is_lacking_before_the_server_has_said_what_it_has() -> None:
    assert not Catalogue().lacks("tiny")


@pytest.mark.fault(63)
def test_other_digest_of_a_name_is_noticed_and_what_was_known_of_it_forgotten() -> None:
    catalogue = Catalogue()
    old, new = model("tiny:latest", "old"), model("tiny:latest", "new")
    catalogue.take_installed([old, model("other:latest", "same")])
    catalogue.learn(old, Details("llama", frozenset({"embedding"}), None))

    changed = catalogue.take_installed([new, model("other:latest", "same")])

    assert changed == {"registry.ollama.ai/library/tiny:latest"}
    assert catalogue.details(new) is None
    assert catalogue.can("tiny") == frozenset({"completion"})


@pytest.mark.parametrize(
    ("family", "can", "alone"),
    [
        ("llama", "completion", False),
        ("llama", "embedding", True),
        ("qwen3vlmoe", "completion", True),
        ("nemotron_h", "completion", True),
        ("llama", None, False),
    ],
)
def test_embedding_models_and_some_families_take_one_request_at_a_time(
    family: str, can: str | None, *, alone: bool
) -> None:
    catalogue = Catalogue()
    catalogue.take_installed([model("m:latest", family=family, can=can)])

    assert catalogue.one_at_a_time("m") is alone


@pytest.mark.security(47)
@pytest.mark.parametrize(
    ("version", "warned"),
    [("0.17.0", True), ("0.9.6", True), ("v0.1.33-rc2", True), ("0.17.1", False), ("0.24.0", False),
     ("1.0.0", False), ("0.0.0", False), ("main", False)],
)  # fmt: skip
def test_versions_with_known_holes_are_warned_of(version: str, *, warned: bool) -> None:
    assert (version_warning(version) is not None) is warned
