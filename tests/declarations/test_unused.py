"""What nothing refers to, and what looks like a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import read_program
from namel3ss.language.render import render_terminal
from tests.declarations.checks import check, codes, marked, model, only, places

if TYPE_CHECKING:
    from pathlib import Path

_TWO = """
ai model fast { provider: ollama, model: tiny }
ai model slow { provider: ollama, model: large EXTRA }
"""


def two(rest: str, extra: str = "") -> list[str]:
    return codes(check(_TWO.replace("EXTRA", extra) + rest))


def test_a_model_beside_prompts_that_ask_another_is_a_warning():
    program = check(_TWO.replace("EXTRA", "") + 'prompt p { model: fast, template: "x" }')

    assert places(program) == [("N3807", 2, "slow")]
    assert list(program.models) == ["fast", "slow"]


@pytest.mark.parametrize(
    "rest",
    [
        "",
        'prompt p { model: fast, template: "x" }\nprompt q { model: slow, template: "x" }',
        'chain c { step s { model: fast, prompt: "x" } step t { model: slow, prompt: "x" } }',
        'prompt p { model: fast, template: "x" }\ngateway g { models: [slow] }',
        'prompt p { model: fast, template: "x" }\ngateway g { models: [fast], fallback: slow }',
        'prompt p { model: fast, template: "x" }\nai model slower { extends: slow, provider: ollama }\n'
        'prompt q { model: slower, template: "x" }',
        'prompt p { model: nobody, template: "x" }',
        'import "./gone.ai"\nprompt p { model: fast, template: "x" }',
    ],
)
def test_a_model_that_something_asks_or_that_is_there_to_be_called_is_none(rest: str):
    assert "N3807" not in two(rest)


def test_a_model_to_fall_back_to_is_used():
    program = check(
        """
        ai model fast { provider: ollama, model: tiny, fallback: slow }
        ai model slow { provider: ollama, model: large }
        prompt p { model: fast, template: "x" }
        """
    )

    assert codes(program) == []


@pytest.mark.parametrize("line", ["ai model default { provider: ollama, model: x }"])
def test_the_default_and_models_for_vectors_are_never_unused(line: str):
    text = 'ai model fast { provider: ollama, model: tiny }\nprompt p { model: fast, template: "x" }\n'

    assert codes(check(text + line)) == []
    assert codes(check(text + "ai model vectors { provider: ollama, model: nomic-embed-text }")) == []


def test_models_of_an_imported_file_are_for_whoever_imports_it(tmp_path: Path):
    (tmp_path / "models.ai").write_text(_TWO.replace("EXTRA", ""))
    (tmp_path / "app.ai").write_text('import "./models.ai"\nprompt p { model: fast, template: "x" }')

    assert read_program(tmp_path / "app.ai", environ={}).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ('base_url: "https://me:correct-horse@example.com"', "me:correct-horse"),
        ('headers: { X-Team: "sk-proj-abcdefghij0123456789" }', "sk-proj-abcdefghij0123456789"),
        ("# Bearer abcdefghij0123456789", "Bearer abcdefghij0123456789"),
        ("# AKIA0123456789ABCDEF", "AKIA0123456789ABCDEF"),
        ("# -----BEGIN RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"),
        ("# ghp_0123456789012345678901234567890123", "ghp_0123456789012345678901234567890123"),
    ],
)
def test_what_looks_like_a_secret_is_a_warning_and_not_shown(text: str, mark: str):
    program = model(f"config: {{\n{text}\n}}" if not text.startswith("#") else text)

    assert [(found.code, marked(found)) for found in program.diagnostics] == [("N3806", mark)]
    assert mark not in render_terminal(program.diagnostics, width=200, color=False)


@pytest.mark.parametrize(
    "text",
    [
        'system: "sk-learn-pipelines-are-a-library"',
        'system: "Bearer of good news"',
        'system: "http://{{user}}:{{password}}@example.com"',
        "system: http://localhost:11434/a@b",
        "config: { base_url: env.SERVER ?? null }",
    ],
)
def test_what_only_resembles_a_secret_is_none(text: str):
    assert codes(model(text)) == []


def test_a_secret_that_is_an_error_already_is_reported_once():
    assert only(model('config: { api_key: "sk-proj-abcdefghij0123456789" }')).code == "N3302"
