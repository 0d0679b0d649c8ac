"""Ollama's rules for model names, against recorded answers and an independent grammar."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.providers.local.ollama._names import (
    find_model,
    name_problem,
    nearest_models,
    parse_model_name,
    same_model,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("llama3", "llama3:latest"),
        ("llama3:8b", "llama3:8b"),
        (" llama3:8b\n", "llama3:8b"),
        ("library/llama3", "llama3:latest"),
        ("registry.ollama.ai/library/llama3:latest", "llama3:latest"),
        ("Registry.Ollama.AI/LIBRARY/llama3", "llama3:latest"),
        ("team/model", "team/model:latest"),
        ("hf.co/user/repo:Q4_K_M", "hf.co/user/repo:Q4_K_M"),
        ("hf.co/user/repo.with.dots-GGUF", "hf.co/user/repo.with.dots-GGUF:latest"),
        ("http://127.0.0.1:5000/library/tiny", "127.0.0.1:5000/library/tiny:latest"),
        ("http:///library/tiny", "tiny:latest"),
        ("meta-llama/Llama-2-7b-chat-hf", "meta-llama/Llama-2-7b-chat-hf:latest"),
        ("m:local", "m:latest"),
        ("m:8b:LOCAL", "m:8b"),
        ("m:cloud", "m:cloud"),
        ("m:20b:cloud", "m:20b-cloud"),
        ("m:20b-cloud", "m:20b-cloud"),
        ("_m:_t", "_m:_t"),
        ("m" * 80 + ":" + "t" * 80, "m" * 80 + ":" + "t" * 80),
    ],
)
def test_a_valid_name_is_shown_with_its_tag_and_without_defaults(text, shown):
    assert str(parse_model_name(text)) == shown
    assert name_problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the name is empty"),
        ("   ", "the name is empty"),
        ("a:", "the tag is empty"),
        (":tag", "the model is empty"),
        ("/a", "the namespace is empty"),
        ("a//b", "the namespace is empty"),
        ("a/", "the model is empty"),
        ("//a", "the host is empty"),
        ("model:tag:extra", "more than one tag"),
        ("a b", "holds a blank"),
        ("llama3@sha256:abc", "cannot hold a digest"),
        ("reg.example/x", "reg.example/NAMESPACE/x"),
        ("a/b/c/d", "too many parts"),
        ("-a", "must begin with"),
        ("a:.b", "must begin with"),
        ("modèle", "not allowed"),
        ("m" * 81, "at most 80"),
        ("h" * 351 + "/n/m", "at most 350"),
        ("m:cloud:local", "either :local or :cloud"),
        ("m:local-cloud", "either :local or :cloud"),
        ("m\x00", "not allowed"),
    ],
)
def test_an_invalid_name_says_why(text, reason):
    assert reason in (name_problem(text) or "")
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_model_name(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3", "llama3:latest"),
        ("LLaMa3:8B", "llama3:8b"),
        ("library/llama3", "registry.ollama.ai/library/llama3:LATEST"),
        ("m:local", "m"),
        ("m:20b:cloud", "m:20b-cloud"),
        ("https://hf.co/u/r", "hf.co/u/r"),
    ],
)
def test_names_are_equal_without_case_and_with_their_defaults(one, other):
    assert same_model(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3", "llama3:8b"),
        ("a/llama3", "llama3"),
        ("m:cloud", "m"),
        ("hf.co/u/r", "u/r"),
        ("a b", "a  b"),
    ],
)
def test_different_models_are_not_equal(one, other):
    assert not same_model(one, other)


def test_an_installed_model_is_found_under_its_own_spelling():
    assert find_model("LLAMA3", ["mistral:7b", "Llama3:latest"]) == "Llama3:latest"
    assert find_model("llama3:8b", ["llama3:latest"]) is None


def test_nearest_models_put_other_tags_first_then_the_family_then_lookalikes():
    installed = ["phi:latest", "llama3.1:8b", "mistral:7b", "llama3:latest", "lama3:8b"]

    assert nearest_models("llama3:8b", installed) == ["llama3:latest", "llama3.1:8b", "lama3:8b"]
    assert nearest_models("mistrl:7b", installed) == ["mistral:7b"]
    assert nearest_models("qwen", installed) == []
    assert nearest_models("tinny", ["tiny:latest", "phi:latest"]) == ["tiny:latest"]


# The grammar as one expression, for names without a scheme and a source suffix: a second description of the rules.
_GRAMMAR = re.compile(
    r"(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349})/(?=[^/]+/))?"
    r"(?:(?P<ns>[A-Za-z0-9_][A-Za-z0-9_-]{0,79})/)?"
    r"(?P<model>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79})(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}))?",
    re.ASCII,
)


@given(st.text(alphabet="aZ0_.:/-@ é", max_size=14))
def test_the_parser_agrees_with_the_grammar(text):
    expected = _GRAMMAR.fullmatch(text.strip())

    if expected is None:
        assert name_problem(text) is not None or "://" in text
    else:
        name = parse_model_name(text)
        assert (name.host, name.namespace, name.model, name.tag) == (
            expected["host"] or "registry.ollama.ai",
            expected["ns"] or "library",
            expected["model"],
            expected["tag"] or "latest",
        )


@given(st.text(max_size=40), st.text(max_size=40))
def test_comparing_never_fails_and_is_symmetric(one, other):
    assert same_model(one, other) == same_model(other, one)
    assert same_model(one, one.upper()) or not one.isascii()
