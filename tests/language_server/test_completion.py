from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from namel3ss.language_server.features.completion import complete
from tests.language_server.files import FACTS, at, labels, make_workspace, opened, spelled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from namel3ss.language_server.machine import ServerFacts

MODEL = "ai model chat {\n    provider: ollama\n    model: llama3:8b\n"


def completed(
    text: str, facts: ServerFacts | None = FACTS, environ: Mapping[str, str] | None = None
) -> types.CompletionList:
    _, document = (pair := opened(text, make_workspace(environ=environ)))
    return complete(pair[0], document, at(document, text), facts)


def test_between_declarations_there_are_declarations() -> None:
    assert labels(completed("¦")) == ["ai model", "prompt", "chain", "import", "server", "gateway"]
    assert "prompt" in labels(completed(MODEL + "}\n\npro¦"))


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("ai model chat {\n    ¦\n}\n", {"provider", "model", "config", "extends"}, {"temperature"}),
        (
            MODEL + "    config: {\n        te¦\n    }\n}\n",
            {"temperature", "num_ctx"},
            {"num_gpu", "provider"},
        ),
        (MODEL + "    config: { ¦ }\n}\n", {"temperature", "num_ctx"}, {"provider"}),
        (
            MODEL + "    deployment_config: {\n        ¦\n    }\n}\n",
            {"num_gpu", "keep_alive"},
            {"temperature"},
        ),
        (MODEL + "    config: {\n        ¦", {"temperature"}, {"provider"}),
        (MODEL + "    ¦\n}\n", {"config"}, {"provider", "model"}),
        ("prompt p {\n    ¦\n}\n", {"input", "output", "template", "system"}, {"config"}),
        ("server s {\n    ¦\n}\n", {"base_url", "slots"}, {"listen"}),
        ("gateway g {\n    ¦\n}\n", {"listen", "servers", "queue"}, {"slots"}),
        ("gateway g {\n    queue: {\n        ¦\n    }\n}\n", {"max_waiting"}, {"listen"}),
        (MODEL + "    fallback: {\n        ¦\n    }\n}\n", {"model", "when"}, {"provider"}),
        ("chain c {\n    ¦\n}\n", {"input", "output", "step"}, {"template"}),
        ("chain c {\n    step a {\n        ¦\n    }\n}\n", {"prompt", "retry", "timeout"}, {"step"}),
    ],
)
def test_a_block_offers_its_own_keys(text: str, wanted: set[str], unwanted: set[str]) -> None:
    found = set(labels(completed(text)))

    assert wanted <= found
    assert not unwanted & found


def test_a_key_tells_its_type_range_and_default() -> None:
    found = {item.label: item for item in completed(MODEL + "    config: {\n        ¦\n    }\n}\n").items}
    temperature = found["temperature"]

    assert temperature.detail == "a number from 0 to 2"
    assert isinstance(temperature.documentation, types.MarkupContent)
    assert "0 to 2" in temperature.documentation.value


def test_a_key_with_its_colon_gets_no_second_one() -> None:
    (found,) = [
        item
        for item in completed(MODEL + "    config: { temp¦: 0.5 }\n}\n").items
        if item.label == "temperature"
    ]

    assert isinstance(found.text_edit, types.TextEdit)
    assert found.text_edit.new_text == "temperature"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("config: { on_context_overflow: ¦ }", ["error", "warn", "truncate"]),
        ("config: {\n        use_mmap: ¦\n    }", ["true", "false"]),
        ("deployment_config: { auto_pull_model: t¦ }", ["true", "false"]),
    ],
)
def test_a_setting_offers_its_values(line: str, wanted: list[str]) -> None:
    assert labels(completed(f"{MODEL}    {line}\n}}\n"))[: len(wanted)] == wanted


def test_installed_models_come_first_with_size_and_quantisation() -> None:
    found = completed("ai model chat {\n    provider: ollama\n    model: ¦\n}\n")

    assert [(item.label, item.detail) for item in found.items] == [
        ("llama3:8b", "4.7 GB · 8B · Q4_0 · loaded"),
        ("tiny:latest", "12.0 kB · F32 · installed"),
        ("mistral:7b", "not installed"),
    ]
    assert not found.is_incomplete


def test_a_model_name_is_replaced_as_a_whole_though_it_has_a_colon_in_it() -> None:
    text = "ai model chat {\n    provider: ollama\n    model: llama3:8¦\n}\n"
    _, document = opened(text)

    for item in completed(text).items:
        assert isinstance(item.text_edit, types.TextEdit)
        assert spelled(document, item.text_edit.range) == "llama3:8"


def test_a_server_that_has_not_answered_leaves_the_list_incomplete() -> None:
    found = completed("ai model chat {\n    provider: ollama\n    model: ¦\n}\n", facts=None)

    assert (found.is_incomplete, found.items) == (True, [])


def test_names_are_those_of_the_kind_that_fits_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "models.ai").write_text("ai model small { provider: ollama  model: tiny }\n")
    text = 'import "./models.ai"\nprompt ask { model: small  template: "x" }\nchain c {\n    step s { model: ¦ }\n}\n'
    workspace, document = opened(text, make_workspace(tmp_path), (tmp_path / "app.ai").as_uri())

    assert labels(complete(workspace, document, at(document, text))) == ["small"]

    text = text.replace("model: ¦", "prompt: ¦")
    workspace, document = opened(text, workspace, (tmp_path / "app.ai").as_uri())
    assert labels(complete(workspace, document, at(document, text))) == ["ask"]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ ¦ }}", {"text", "count", "input"}),
        ("{{ te¦ }}", {"text", "count"}),
        ("{{ input.¦ }}", {"input.text", "input.count"}),
        ("{{ text | ¦ }}", {"upper", "join", "trim"}),
        ("{% ¦ %}", {"if", "for", "text"}),
    ],
)
def test_templates_offer_names_and_filters(template: str, wanted: set[str]) -> None:
    for place in (f'"{template}"', f"|\n        a line\n        b {template}"):
        text = f"prompt p {{\n    input: {{ text: str, count: int }}\n    template: {place}\n}}\n"

        assert wanted <= set(labels(completed(text)))


def test_the_plain_text_of_a_template_offers_nothing() -> None:
    assert (
        labels(completed('prompt p {\n    input: { text: str }\n    template: "hello ¦ {{ text }}"\n}\n'))
        == []
    )
    assert (
        labels(completed("prompt p {\n    input: { text: str }\n    template: |\n        hello: ¦\n}\n"))
        == []
    )


def test_variables_that_are_set_are_offered_without_their_values() -> None:
    text = MODEL + "    config: { api_key: env.¦ }\n}\n"

    found = completed(text, environ={"MY_KEY": "s3cret-value"})

    assert labels(found) == ["env.MY_KEY"]
    assert "s3cret-value" not in repr(found)


def test_nothing_is_offered_in_a_comment() -> None:
    assert labels(completed(MODEL + "    # a remark ¦\n}\n")) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('gateway g {\n    servers: [¦]\n}\nserver one { base_url: "http://127.0.0.1:1" }\n', ["one"]),
        (
            "gateway g {\n    models: [small, ¦]\n}\nai model small { provider: ollama  model: tiny }\n",
            ["small"],
        ),
        ("gateway g {\n    cloud_models: ¦\n}\n", ["true", "false"]),
        (MODEL + "    fallback: ¦\n}\nai model small { provider: ollama  model: tiny }\n", ["small"]),
        (
            MODEL + "    fallback: { model: ¦ }\n}\nai model small { provider: ollama  model: tiny }\n",
            ["small"],
        ),
        (MODEL + "    extends: ¦\n}\nai model small { provider: ollama  model: tiny }\n", ["small"]),
        ("ai model a {\n    provider: ol¦\n}\n", ["anthropic", "ollama", "scripted"]),
    ],
)
def test_a_reference_offers_what_it_may_name(text: str, wanted: list[str]) -> None:
    found = [label for label in labels(completed(text)) if not label.startswith("env.")]

    assert set(wanted) <= set(found)
    assert "llama3:8b" not in found


def test_types_are_offered_where_they_belong() -> None:
    assert "int" in labels(completed("prompt p {\n    input: { n: ¦ }\n}\n"))
