"""The settings of each kind: what may be written, what is sent, and what only describes a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest

from namel3ss.declarations import check_text
from namel3ss.errors import UsageError
from namel3ss.providers.local.openai_compatible._kind_configs import CONFIGS, OpenAIConfig, VllmConfig
from namel3ss.providers.local.openai_compatible._kinds import KINDS
from namel3ss.providers.settings import Place, setting_infos

if TYPE_CHECKING:
    from namel3ss.providers.local.openai_compatible._config import OpenAICompatibleConfig

KEY = {"OPENAI_API_KEY": "sk-secret-1"}


def test_every_kind_has_its_settings() -> None:
    assert CONFIGS.keys() == KINDS.keys()
    assert all(CONFIGS[name].kind is kind for name, kind in KINDS.items())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_every_setting_is_described(config: type[OpenAICompatibleConfig]) -> None:
    for name, info in setting_infos(config).items():
        assert info.description.endswith("."), name
        assert info.place in get_args(Place), name
        assert info.required or info.default is not None or info.placeholder, name


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_what_describes_the_server_is_no_field_of_a_request(config: type[OpenAICompatibleConfig]) -> None:
    described = {name for name, info in setting_infos(config).items() if info.place == "deployment_config"}
    assert not described & set(config.own_fields)
    assert set(config.own_fields) <= set(config.model_fields)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("vllm", {"gpu_memory_utilization": 0}),
        ("vllm", {"gpu_memory_utilization": 1.01}),
        ("vllm", {"tensor_parallel_size": 0}),
        ("vllm", {"max_model_len": 0}),
        ("vllm", {"dtype": "int8"}),
        ("vllm", {"min_p": 2}),
        ("vllm", {"repetition_penalty": 0}),
        ("vllm", {"structured_outputs": {"choice": ["a"], "regex": "a"}}),
        ("vllm", {"swap_space": -1}),
        ("vllm", {"port": 0}),
        ("vllm", {"host": "http://gpu"}),
        ("vllm", {"host": "gpu:8000"}),
        ("local_ai", {"batch_size": 0}),
        ("local_ai", {"context_size": 2048, "context_length": 4096}),
        ("local_ai", {"threads": 0}),
        ("local_ai", {"f16": "yes"}),
        ("local_ai", {"context_size": -1}),
        ("local_ai", {"backend": "a b"}),
        ("openai", {"logit_bias": {"12": 101}}),
        ("openai", {"logit_bias": {"x": 1}}),
        ("openai", {"organization": "a\nb"}),
        ("openai", {"presence_penalty": 2.1}),
        ("openai", {"top_logprobs": 21}),
        ("openai", {"max_tokens": 0}),
        ("openai", {"tool_choice": " "}),
        ("openai", {"extra": {"a": float("nan")}}),
        ("openai", {"extra": {"stream": False}}),
        ("openai", {"base_url": "api.openai.com"}),
        ("openai", {"api_key": "a\nb"}),
        ("openai", {"gpu_memory_utilization": 0.9}),
        ("openai_compatible", {}),
        ("openai_compatible", {"top_k": 1, "base_url": "http://h/v1"}),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        CONFIGS[kind].from_mapping(settings)
    assert next(iter(settings), "base_url") in caught.value.message


def test_names_of_other_tools_lead_to_the_setting() -> None:
    with pytest.raises(UsageError) as caught:
        VllmConfig.from_mapping({"guided_json": {}})
    assert caught.value.suggestion == "Did you mean `structured_outputs`?"


def test_own_address_of_openai_takes_the_newer_name_of_the_longest_answer() -> None:
    config = OpenAIConfig.from_mapping({"max_tokens": 5})

    assert config.request_fields("https://api.openai.com/v1") == {"max_completion_tokens": 5}
    assert config.request_fields("http://127.0.0.1:8000/v1") == {"max_tokens": 5}


def test_choice_of_tools_is_sent_with_tools_only() -> None:
    config = OpenAIConfig.from_mapping({"tool_choice": "auto", "parallel_tool_calls": True})
    assert config.request_fields("http://h/v1") == {}


def test_extra_fields_beat_settings() -> None:
    config = OpenAIConfig.from_mapping({"seed": 1, "extra": {"seed": 2, "safety_identifier": "u"}})
    assert config.request_fields("http://h/v1") == {"seed": 2, "safety_identifier": "u"}


@pytest.mark.parametrize(
    ("kind", "settings", "environ", "url", "authorization"),
    [
        ("openai", {}, KEY, "https://api.openai.com/v1", "Bearer sk-secret-1"),
        ("openai", {}, {}, "https://api.openai.com/v1", None),
        ("openai", {"base_url": "https://api.openai.com/v1/"}, KEY, "https://api.openai.com/v1", "Bearer sk-secret-1"),
        ("openai", {"base_url": "http://h:1/v1"}, KEY, "http://h:1/v1", None),
        ("openai", {}, {**KEY, "OPENAI_BASE_URL": "http://h:1/v1"}, "http://h:1/v1", "Bearer sk-secret-1"),
        ("openai", {"api_key": "own"}, KEY, "https://api.openai.com/v1", "Bearer own"),
        ("openai", {"headers": {"Authorization": "Basic eA=="}}, KEY, "https://api.openai.com/v1", "Basic eA=="),
        ("vllm", {}, KEY, "http://127.0.0.1:8000/v1", None),
        ("local_ai", {}, KEY, "http://127.0.0.1:8080/v1", None),
        ("vllm", {"base_url": "http://u:p@h/v1"}, {}, "http://h/v1", "Basic dTpw"),
    ],
)  # fmt: skip
def test_address_and_key_in_force(
    kind: str, settings: dict[str, Any], environ: dict[str, str], url: str, authorization: str | None
) -> None:
    config = CONFIGS[kind].from_mapping(settings)

    assert config.address(environ).url == url
    assert config.request_headers(environ).get("Authorization") == authorization
    needs_key = url == "https://api.openai.com/v1" and authorization is None
    assert config.lacks_key(environ) is needs_key
    assert "p@h" not in repr(config)


def test_key_of_the_environment_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY holds a character"):
        OpenAIConfig.from_mapping({}).request_headers({"OPENAI_API_KEY": "sk\nHost: x"})


def test_values_of_the_environment_are_named() -> None:
    environ = {**KEY, "OPENAI_BASE_URL": "http://h/v1"}
    assert OpenAIConfig.environment_values({}, environ) == {
        "base_url": ("OPENAI_BASE_URL", "http://h/v1"),
        "api_key": ("OPENAI_API_KEY", "env.OPENAI_API_KEY"),
    }
    assert OpenAIConfig.environment_values({"base_url": "http://x/v1"}, environ) == {}
    assert VllmConfig.environment_values({}, environ) == {}


@pytest.mark.parametrize(
    ("kind", "settings", "setting", "code"),
    [
        ("openai", {}, "api_key", "N3301"),
        ("openai", {"base_url": "http://h.example/v1", "api_key": "secret"}, "base_url", "N3800"),
        ("vllm", {"base_url": "http://127.0.0.1:8000"}, "base_url", "N3800"),
        ("vllm", {"top_k": 1, "temperature": 0.5}, "temperature", "N3804"),
        ("local_ai", {"gpu_layers": 1}, "gpu_layers", "N3801"),
    ],
)
def test_traps_are_pointed_out(kind: str, settings: dict[str, Any], setting: str, code: str) -> None:
    advice = CONFIGS[kind].from_mapping(settings).advice({})
    assert [(each.setting, each.code) for each in advice] == [(setting, code)]


@pytest.mark.parametrize("kind", ["vllm", "local_ai"])
def test_servers_on_this_machine_need_no_advice(kind: str) -> None:
    assert CONFIGS[kind].from_mapping({}).advice({}) == ()


GUIDES = {
    "vllm": (
        "gpu_memory_utilization: 0.9, max_model_len: 4096, dtype: auto, tensor_parallel_size: 1, quantization: awq,"
        ' swap_space: 4, host: "0.0.0.0", port: 8001, api_key_required: false,'
        ' allowed_origins: ["http://localhost:3000"], auto_start_server: true',
        "http://127.0.0.1:8001/v1",
        "vLLM",
    ),
    "local_ai": (
        "backend: llama, f16: true, threads: 4, gpu_layers: 35, mmap: true, mlock: false, batch_size: 512, use_docker:"
        " true, container_name: ai, image: localai, models_path: ./models, gpu: true, context_length: 2048,"
        ' env: { "DEBUG": "true" }, host: ai.example.com, auto_start_server: true',
        "http://ai.example.com:8080/v1",
        "LocalAI",
    ),
}


@pytest.mark.parametrize("kind", GUIDES)
def test_every_key_of_guides_for_a_server_of_ones_own_is_accepted(kind: str) -> None:
    written, address, label = GUIDES[kind]
    program = check_text(
        f"ai model m {{ provider: {kind}, model: x, deployment_config: {{ {written} }} }}", "m.ai", environ={}
    )

    model = program.models["m"]
    config = CONFIGS[kind].from_mapping(model.settings({}))
    assert [found.message for found in program.diagnostics if found.code == "N3800"] == [
        f"namel3ss starts no {label} server"
    ]
    assert not program.errors
    assert config.address({}).url == address


def test_a_written_base_url_beats_host_and_port() -> None:
    config = CONFIGS["vllm"].from_mapping({"base_url": "http://a:1/v1", "host": "b", "port": 2})

    assert config.address({}).url == "http://a:1/v1"


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("openai", "base_url", "http://b:1/v1"),
        ("openai", "api_key", "k"),
        ("openai", "organization", "o"),
        ("openai", "project", "p"),
        ("vllm", "headers", {"X-Team": "a"}),
        ("vllm", "port", 2),
    ],
)
def test_one_call_cannot_change_where_and_as_whom_a_provider_asks(
    kind: str, name: str, value: object
) -> None:
    config = CONFIGS[kind].from_mapping({"temperature": 1})

    with pytest.raises(UsageError, match=f"{name} cannot be changed for one call"):
        config.overridden({name: value})
