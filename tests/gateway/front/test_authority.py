"""One decision for every spelling of a model's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.authority import Authority, Called, name_matches
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.providers.local.ollama import same_model
from tests.gateway.front.door import holder
from tests.gateway.plans import plan_with

if TYPE_CHECKING:
    from namel3ss.gateway.principal import Principal

MODELS = """
ai model chat_model { provider: ollama  model: "llama3:8b"  system: "Be short." }
ai model coder { provider: ollama  model: "qwen2.5-coder" }
ai model twin { provider: ollama  model: "Library/LLAMA3:8B" }
ai model tiny { provider: ollama  model: "other" }
ai model mine { provider: ollama  model: "hf.co/org/repo:Q4_K_M" }
ai model raw { provider: ollama  model: "tiny" }
ai model far { provider: ollama  model: "gpt-oss:120b-cloud" }
"""

# Every way to write llama3:8b that Ollama takes.
SPELLINGS = [
    "llama3:8b",
    "LLAMA3:8B",
    "Llama3:8b",
    " llama3:8b ",
    "llama3:8b\n",
    "library/llama3:8b",
    "LIBRARY/llama3:8b",
    "registry.ollama.ai/library/llama3:8b",
    "https://registry.ollama.ai/library/llama3:8b",
    "http://REGISTRY.ollama.ai/library/llama3:8b",
    "llama3:8b:local",
]

# Near it, and not it.
OTHERS = [
    "llama3",
    "llama3:latest",
    "llama3:8b2",
    "llama3:8",
    "other/llama3:8b",
    "reg.example/library/llama3:8b",
    "llama3-8b",
    "chat_model:latest",
    "Chat_Model",
    "nope",
]

INVALID = [
    "",
    " ",
    "a:",
    ":a",
    "/a",
    "a//b",
    "a b",
    "llama3@sha256:0",
    "a" * 400,
    "llama3:8b:cloud:local",
    "é",
    "a\x00",
]


@pytest.fixture
def authority() -> Authority:
    return Authority(plan_with(models=MODELS))


def refusal_of(authority: Authority, name: str, principal: Principal) -> Refusal:
    with pytest.raises(Refusal) as refused:
        authority.find(principal, name)
    return refused.value


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_an_ollama_name_means_the_first_declaration_of_it(
    name: str, authority: Authority
) -> None:
    called = authority.find(holder(), name)

    assert (called.served.name, called.by_declared_name) == ("chat_model", False)


@pytest.mark.parametrize("name", ["chat_model", "twin", "tiny"])
def test_the_name_of_a_declaration_means_it_even_where_a_model_is_called_so(
    name: str, authority: Authority
) -> None:
    called = authority.find(holder(), name)

    assert (called.served.name, called.by_declared_name) == (name, True)


def test_a_model_whose_name_a_declaration_has_taken_is_called_with_its_tag(authority: Authority) -> None:
    called = authority.find(holder(), "tiny:latest")

    assert (called.served.name, called.by_declared_name) == ("raw", False)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_listed_is_not_found_in_ollamas_words(name: str, authority: Authority) -> None:
    refusal = refusal_of(authority, name, holder())

    assert (refusal.reason, str(refusal)) == (Reason.model_not_found, f"model '{name}' not found")


@pytest.mark.parametrize("name", INVALID)
def test_what_is_no_name_is_refused_in_ollamas_words(name: str, authority: Authority) -> None:
    refusal = refusal_of(authority, name, holder())

    assert (refusal.reason, str(refusal)) == (Reason.bad_request, "invalid model name")


@pytest.mark.security(3)
@pytest.mark.parametrize("name", [*SPELLINGS, "chat_model", "twin"])
@pytest.mark.parametrize("models", [(), ("coder",), ("llama3",), ("qwen*",), ("chat", "model")])
def test_a_model_that_a_key_may_not_use_is_refused_in_every_spelling(
    name: str, models: tuple[str, ...], authority: Authority
) -> None:
    refusal = refusal_of(authority, name, holder(models=models))

    assert refusal.reason is Reason.model_not_allowed


@pytest.mark.security(3)
@pytest.mark.parametrize(
    "name", [*SPELLINGS, *OTHERS, "chat_model", "twin", "far", "gpt-oss:120b-cloud", "x:cloud"]
)
@pytest.mark.parametrize("models", [(), ("coder",), ("tiny", "qwen*"), ("mist*",)])
@pytest.mark.parametrize("cloud", [False, True])
def test_a_key_limited_to_some_models_does_not_learn_what_else_there_is(
    name: str, models: tuple[str, ...], cloud: bool
) -> None:
    """The answer is the same of a gateway that serves nothing but what the key may use."""
    more = "cloud_models: true" if cloud else ""
    everything = Authority(plan_with(more, MODELS))
    served = (
        line for line in MODELS.splitlines() if any(f"model {name} " in line for name in ("coder", "tiny"))
    )
    little = Authority(plan_with(more, "\n".join(served)))
    principal = holder(models=models)

    refusals = [refusal_of(authority, name, principal) for authority in (everything, everything, little)]

    assert len({(refusal.reason, refusal.message, refusal.suggestion) for refusal in refusals}) == 1


@pytest.mark.parametrize("name", ["llama3:9b", "chatter"])
def test_a_name_that_a_key_is_given_and_nobody_serves_is_not_found(name: str, authority: Authority) -> None:
    assert refusal_of(authority, name, holder(models=("llama3:*", "chat*"))).reason is Reason.model_not_found


@pytest.mark.security(3)
@pytest.mark.parametrize("entry", ["chat_model", *SPELLINGS, "llama3:*", "LLAMA*", "*", "*:8b", "chat*"])
def test_a_key_is_given_a_model_by_either_name_or_a_pattern(entry: str, authority: Authority) -> None:
    principal = holder(models=(entry,))

    assert authority.find(principal, "chat_model").served.name == "chat_model"
    assert authority.find(principal, "llama3:8b").served.name == "chat_model"
    assert "chat_model" in [served.name for served in authority.allowed(principal)]


@pytest.mark.security(3)
def test_of_declarations_of_one_model_a_key_uses_its_own(authority: Authority) -> None:
    """Their settings differ, and what one key may do through one of them is not what it may do through the other."""
    principal = holder(models=("twin",))

    assert authority.find(principal, "llama3:8b").served.name == "twin"
    assert refusal_of(authority, "chat_model", principal).reason is Reason.model_not_allowed


@pytest.mark.security(3)
@pytest.mark.parametrize("name", ["far", "gpt-oss:120b-cloud", "GPT-OSS:120B-CLOUD", "gpt-oss:120b:cloud"])
def test_a_model_that_runs_elsewhere_takes_a_gateway_and_a_key_that_allow_it(name: str) -> None:
    here, elsewhere = (Authority(plan_with(more, MODELS)) for more in ("", "cloud_models: true"))
    allowed, not_allowed = holder(allows_cloud=True), holder()

    assert refusal_of(here, name, allowed).reason is Reason.cloud_model
    assert refusal_of(elsewhere, name, not_allowed).reason is Reason.cloud_model
    assert elsewhere.find(allowed, name).served.name == "far"
    assert "far" not in [served.name for served in here.allowed(allowed)]
    assert "far" not in [served.name for served in elsewhere.allowed(not_allowed)]
    assert "far" in [served.name for served in elsewhere.allowed(allowed)]


@pytest.mark.security(3)
@pytest.mark.parametrize("name", ["llama3:cloud", "llama3:8b-cloud", "nope:CLOUD", "chat_model:cloud"])
def test_a_cloud_name_that_nobody_listed_is_refused_as_one(name: str, authority: Authority) -> None:
    assert refusal_of(authority, name, holder()).reason is Reason.cloud_model


def test_what_a_key_may_use_is_listed_in_the_order_of_the_file(authority: Authority) -> None:
    everything = [served.name for served in authority.allowed(holder())]
    some = [served.name for served in authority.allowed(holder(models=("tiny", "llama3:8b")))]

    assert everything == ["chat_model", "coder", "twin", "tiny", "mine", "raw"]
    # `tiny` is a declaration's name and another model's own: it means the declaration here as well.
    assert some == ["chat_model", "twin", "tiny"]


@pytest.mark.security(3)
@given(st.one_of(st.text(max_size=30), st.sampled_from(SPELLINGS), st.sampled_from(OTHERS)))
def test_any_name_finds_a_model_that_it_means_and_the_key_may_use_or_is_refused(name: str) -> None:
    authority, principal = Authority(plan_with(models=MODELS)), holder(models=("coder", "llama3:*"))

    try:
        called = authority.find(principal, name)
    except Refusal:
        return

    assert called.served in authority.allowed(principal)
    assert name == called.served.name if called.by_declared_name else same_model(name, called.served.model)


@pytest.mark.security(10)
def test_a_decision_for_one_key_is_never_another_keys(authority: Authority) -> None:
    may, may_not = holder(models=("chat_model",)), holder(models=("coder",))

    for _ in range(2):
        assert isinstance(authority.find(may, "llama3:8b"), Called)
        assert refusal_of(authority, "llama3:8b", may_not).reason is Reason.model_not_allowed


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("llama3:*", "llama3:8b", True),
        ("llama3:*", "llama3", True),
        ("llama3:*", "LLAMA3:8B", True),
        ("llama3:*", "library/llama3:8b", True),
        ("llama3:*", "llama3.1:8b", False),
        ("llama3:*", "evil/llama3:8b", False),
        ("llama3:*", "reg.example/library/llama3:8b", False),
        ("llama3*", "llama3.1:8b", True),
        ("*:8b", "llama3:8b", True),
        ("*:8b", "llama3:8b-instruct", False),
        ("llama3", "llama3:latest", True),
        ("llama3", "llama3:8b", False),
        ("l.ama3", "llama3", False),
        ("l?ama3", "llama3", False),
        ("[l]lama3", "llama3", False),
        ("hf.co/org/*", "hf.co/org/repo:Q4_K_M", True),
        ("*", "anything:at-all", True),
        ("", "llama3", False),
    ],
)
def test_only_a_star_in_a_pattern_means_anything(pattern: str, name: str, expected: bool) -> None:
    assert name_matches(pattern, name) is expected
