"""`bridge_for`: one switch chooses who answers, and a slip of the pen never sends anything to a cloud."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import AnthropicBridge, OllamaBridge, bridge_for
from namel3ss.errors import ProgramError, UsageError
from namel3ss.runtime import load
from tests.bridge.answers import HELLO, answer
from tests.support.anthropic_events import HELLO as HELLO_EVENTS
from tests.support.anthropic_events import events
from tests.support.scripted_server import ScriptedServer, document

if TYPE_CHECKING:
    from pathlib import Path

    from namel3ss.scheduling import RequestQueue

CLOUD = {"ANTHROPIC_API_KEY": "key", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}

YAML = """
# The document's own sections, and others beside them.
api:
  provider: "ollama"  # Switch from "anthropic" to "ollama"
  model: "claude-3-sonnet-20240229"
  ollama_url: "{url}"
  ollama_model: "qwen"
  temperature: 0.7  # More creative
  max_tokens: 2000
  timeout: 120
logging:
  level: DEBUG
"""

FILE = """
ai model local {{
    provider: ollama
    model: "llama3:8b"
    system: "Be short."
    config: {{
        temperature: 0.2
        num_ctx: 4096
        seed: 7
        keep_alive: 10m
    }}
    deployment_config: {{ base_url: "{url}" }}
}}

ai model cloud {{
    provider: anthropic
    model: "claude-sonnet-4-5"
    system: "Be clear."
    config: {{ max_tokens: 100, base_url: "{url}" }}
}}
"""


@pytest.fixture
def file(tmp_path: Path, server: ScriptedServer) -> Path:
    path = tmp_path / "app.ai"
    path.write_text(FILE.format(url=server.url))
    server.on("/api/chat", document(answer()))
    server.on("/v1/messages", events(*HELLO_EVENTS))
    return path


# -- settings -------------------------------------------------------------------------------------------------


def test_settings_of_the_application_choose_the_bridge(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer()))
    api = {
        "provider": "Ollama",
        "model": "claude-3-sonnet-20240229",
        "ollama_url": server.url,
        "ollama_model": "qwen",
        "temperature": 0.2,
        "max_tokens": 9,
        "timeout": 30,
    }

    bridge_for({"api": api}, queue=queue).generate_response(HELLO)
    bridge_for(api, queue=queue).generate_response(HELLO)

    for sent in (request.json for request in server.requests):
        assert sent["model"] == "qwen"
        assert sent["options"] == {"temperature": 0.2, "num_predict": 9}


def test_settings_may_be_yaml_as_text_or_in_a_file(
    server: ScriptedServer, queue: RequestQueue, tmp_path: Path
) -> None:
    server.on("/api/chat", document(answer()))
    text = YAML.format(url=server.url)
    path = tmp_path / "config.yml"
    path.write_text(text)

    for source in (text, path, str(path)):
        bridge_for(source, queue=queue).generate_response(HELLO)

    for sent in (request.json for request in server.requests):
        assert sent["model"] == "qwen"
        assert sent["options"] == {"temperature": 0.7, "num_predict": 2000}


def test_same_settings_with_the_other_provider_ask_anthropic(server: ScriptedServer) -> None:
    server.on("/v1/messages", events(*HELLO_EVENTS))
    text = YAML.replace('provider: "ollama"', 'provider: "anthropic"').format(url="http://127.0.0.1:9")

    with bridge_for(text, environ={"ANTHROPIC_BASE_URL": server.url}) as bridge:
        response = bridge.generate_response(HELLO)

    assert isinstance(bridge, AnthropicBridge)
    assert bridge.extract_text_content(response) == "Hello there."
    sent = server.requests[0].json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("claude-3-sonnet-20240229", 0.7, 2000)


def test_setting_that_is_left_empty_is_not_set(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer()))
    text = f"api:\n  provider: ollama\n  ollama_url: {server.url}\n  ollama_model: qwen\n  max_tokens:\n  timeout:\n"

    bridge_for(text, queue=queue).generate_response(HELLO)

    assert server.requests[0].json["options"] == {"temperature": 0.7}
    settings = {"api": {"provider": "ollama", "ollama_url": "", "ollama_model": "qwen"}}
    bridge = bridge_for(settings, queue=queue)
    assert isinstance(bridge, OllamaBridge)
    assert bridge.base_url is None  # the environment names it


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api": {"ollama_model": "m"}}, "names no `provider`.*anthropic, ollama"),
        ({"provider": "olama", "ollama_model": "m"}, "no provider `olama`.*Did you mean `ollama`"),
        ({"provider": "antropic", "model": "m"}, "no provider `antropic`.*Did you mean `anthropic`"),
        ({"provider": "openai", "model": "m"}, "no provider `openai`.*There are: anthropic, ollama"),
        ({"provider": "", "model": "m"}, "no provider"),
        ({"provider": True, "model": "m"}, "no provider `True`"),
        ({"provider": "anthropic", "ollama_model": "m"}, "provider `anthropic` needs `model`"),
        ({"provider": "ollama", "model": "claude"}, "needs `ollama_model`"),
        ({"provider": "ollama", "ollama_model": "m", "temprature": 1}, "Did you mean `temperature`"),
        ({"provider": "ollama", "ollama_model": "m", "ollama_url": 5}, "ollama_url"),
        ({"provider": "ollama", "ollama_model": "m", "max_tokens": 0.5}, "max_tokens"),
        ({"provider": "ollama", "ollama_model": "m", "temperature": float("nan")}, "temperature"),
        ({"provider": "ollama", "ollama_model": "m", "timeout": 0}, "timeout"),
        ({"provider": "ollama", "ollama_model": "m", "timeout": "60"}, "timeout"),
        ({"api": "ollama"}, "must be a map"),
        ({"logging": {}}, "no section `api`"),
    ],
)
def test_wrong_settings_are_refused_and_nothing_falls_back(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        bridge_for(settings, environ=CLOUD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("api: {provider: ollama", "cannot be read as YAML"),
        ("- a\n- b", "must hold a map, not list"),
        ("just words", "must hold a map, not str"),
        (
            "api:\n  provider: ollama\n  ollama_model: m\n  provider: anthropic",
            "`provider` stands twice.*line 4",
        ),
        ("api: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        ("x" * 1_000_001 + "\n", "more than 1,000,000 characters"),
        ("api: " + "[" * 1200, "nested|cannot be read"),
    ],
)
def test_yaml_that_is_none_or_says_two_things_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        bridge_for(text)


def test_yaml_may_use_aliases_once_and_again() -> None:
    text = "base: &base\n  ollama_model: m\napi:\n  <<: *base\n  provider: ollama\nother: *base\n"

    assert bridge_for(text).model == "m"


def test_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("config.yml", "app.ai"):
        with pytest.raises((UsageError, ProgramError), match=name):
            bridge_for(tmp_path / name)


def test_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yaml", None)  # what importing a missing module looks like
        with pytest.raises(UsageError, match=r"PyYAML.*(?s:.)*namel3ss\[yaml\]"):
            bridge_for("api: {}\n")
        assert bridge_for({"provider": "ollama", "ollama_model": "m"}).model == "m"


@pytest.mark.parametrize("wrong", [None, 5, b"api: {}"])
def test_what_is_no_source_of_settings_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="type"):
        bridge_for(wrong)


def test_settings_have_no_models_to_choose_from() -> None:
    settings = {"provider": "ollama", "ollama_model": "m"}
    with pytest.raises(UsageError, match="model goes with"):
        bridge_for(settings, model="local")


# -- .ai files ------------------------------------------------------------------------------------------------


def test_declared_ollama_model_is_asked_with_its_settings(
    file: Path, server: ScriptedServer, queue: RequestQueue
) -> None:
    bridge = bridge_for(file, model="local", queue=queue)
    assert isinstance(bridge, OllamaBridge)
    bridge.generate_response(HELLO)
    bridge.generate_response(HELLO, "Be long.", temperature=0.9, max_tokens=3)

    first, second = (request.json for request in server.requests)
    assert first["model"] == "llama3:8b"
    assert first["messages"] == [{"role": "system", "content": "Be short."}, *HELLO]
    assert first["options"] == {"temperature": 0.2, "num_ctx": 4096, "seed": 7}
    assert first["keep_alive"] == "10m"
    assert second["messages"][0]["content"] == "Be long."
    assert second["options"] == {"temperature": 0.9, "num_ctx": 4096, "seed": 7, "num_predict": 3}


def test_declared_anthropic_model_is_asked_with_its_settings(file: Path, server: ScriptedServer) -> None:
    with bridge_for(str(file), model="cloud", environ={}) as bridge:
        response = bridge.generate_response(HELLO)

    assert response.metadata["provider"] == "anthropic"
    sent = server.requests[0].json
    assert (sent["model"], sent["max_tokens"], sent["system"]) == ("claude-sonnet-4-5", 100, "Be clear.")


def test_loaded_program_is_asked_through_its_own_providers(
    file: Path, server: ScriptedServer, queue: RequestQueue
) -> None:
    program = load(file, environ={})
    bridge_for(program, model="local", queue=queue).generate_response(HELLO)
    with bridge_for(program, model="cloud") as bridge:
        bridge.generate_response(HELLO)
    with bridge_for(
        program, model="cloud"
    ) as bridge:  # leaving a bridge does not close the program's provider
        bridge.generate_response(HELLO)
    program.sync.close()

    assert server.paths() == ["/api/chat", "/v1/messages", "/v1/messages"]


def test_program_that_was_moved_to_another_address_stays_there(
    file: Path, server: ScriptedServer, queue: RequestQueue
) -> None:
    with ScriptedServer() as other:
        other.on("/api/chat", document(answer()))
        program = load(file, environ={}, sandbox_url=other.url)
        bridge_for(program, model="local", queue=queue).generate_response(HELLO)
        program.sync.close()

        assert other.paths() == ["/api/chat"]
    assert server.paths() == []


def test_several_hosts_answer_for_one_another(
    tmp_path: Path, server: ScriptedServer, queue: RequestQueue
) -> None:
    with ScriptedServer() as gone:
        dead = gone.url
    server.on("/api/chat", document(answer())).on("/api/ps", document({"models": []}))
    path = tmp_path / "fleet.ai"
    hosts = f'hosts: ["{dead}", "{server.url}"]'
    path.write_text(f'ai model m {{ provider: ollama, model: "m", config: {{ {hosts} }} }}')
    bridge = bridge_for(path, queue=queue)

    for _ in range(3):
        assert bridge.generate_response(HELLO).metadata["server"] == server.url
    assert {found["address"]: found["state"] for found in queue.servers()} == {
        dead: "down",
        server.url: "up",
    }


def test_headers_of_a_declaration_are_sent_and_shown_nowhere(
    tmp_path: Path, server: ScriptedServer, queue: RequestQueue
) -> None:
    server.on("/api/chat", document(answer()))
    path = tmp_path / "keyed.ai"
    path.write_text(
        f'ai model m {{ provider: ollama, model: "m", config: {{ base_url: "{server.url}", api_key: env.KEY }} }}'
    )
    bridge = bridge_for(path, queue=queue, environ={"KEY": "secret"})
    bridge.generate_response(HELLO)

    assert server.requests[0].header("Authorization") == "Bearer secret"
    assert "secret" not in repr(bridge) + repr(queue) + repr(queue.servers())


@pytest.mark.parametrize(
    ("text", "model", "error", "words"),
    [
        ('ai model m { provider: olama, model: "m" }', None, ProgramError, "Did you mean|olama"),
        ('ai model m { provider: antropic, model: "m" }', None, ProgramError, "antropic"),
        ('ai model m { model: "m" }', None, ProgramError, "provider"),
        ('ai model m { provider: ollama, model: "m" }', "n", UsageError, "no ai model `n`"),
        (
            'ai model m { provider: scripted, model: "m" }',
            None,
            UsageError,
            "`scripted`, which has no bridge",
        ),
        (
            'ai model a { provider: ollama, model: "m" }\nai model b { provider: ollama, model: "n" }',
            None,
            UsageError,
            "declares: a, b",
        ),
        ("# nothing", None, ProgramError, "no ai model"),
    ],
)
def test_file_that_does_not_say_who_answers_is_an_error(
    tmp_path: Path, text: str, model: str | None, error: type[Exception], words: str
) -> None:
    path = tmp_path / "app.ai"
    path.write_text(text)

    with pytest.raises(error, match=words):
        bridge_for(path, model=model, environ=CLOUD)
