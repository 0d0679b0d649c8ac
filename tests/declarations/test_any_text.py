"""Whatever the text, a check gives an answer: no exception, findings inside the text, no healthy model with an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.declarations import ProgramFile, check_text

_CORPUS = sorted((Path(__file__).parents[2] / "grammar/corpus").rglob("*.ai"))
_TEXTS = [path.read_bytes().decode("utf-8", "replace") for path in _CORPUS if path.stat().st_size < 5000]
_PIECES = [
    *"{}[]<>:,|\n\"'#?",
    *(
        "ai model ",
        "llm ",
        "prompt ",
        "chain ",
        "step ",
        "import ",
        "env.X",
        " ?? ",
        "null",
        "true",
        "1e999",
        "-1",
    ),
    *(
        "provider: ollama",
        "model: llama3:8b",
        "extends: a",
        "extends: b",
        "config: {",
        "deployment_config: {",
    ),
    *(
        "api_key: ",
        "headers: ",
        "num_ctx: ",
        "temperature: ",
        "stop: ",
        "options: ",
        "hosts: [",
        "keep_alive: ",
        "a ",
        "b ",
    ),
]


def _assert_sound(program: ProgramFile, text: str) -> None:
    for found in program.diagnostics:
        assert 0 <= found.span.start <= found.span.end <= len(text)
        assert found.message
    for model in program.models.values():
        assert model.provider
        # Of two with one name the first loads, and the error stands at the other.
        assert model.name not in program.broken or program.errors
        model.config_model.model_validate(model.settings({"X": "1"}) if not model.references else {})


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_any_mixture_of_the_language_is_checked(text: str):
    _assert_sound(check_text(text), text)


@pytest.mark.security(40)
@given(st.text(max_size=200))
def test_any_text_is_checked(text: str):
    _assert_sound(check_text(text), text)


@given(st.sampled_from(_TEXTS), st.integers(0, 5000), st.integers(0, 30), st.sampled_from(_PIECES))
def test_any_mutation_of_the_corpus_is_checked(text: str, at: int, length: int, piece: str):
    at %= len(text) + 1
    mutated = text[:at] + piece + text[at + length :]

    _assert_sound(check_text(mutated), mutated)
