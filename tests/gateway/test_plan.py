"""From a program to the plan of its gateway: what is missing is said, and nothing half is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text, read_program
from namel3ss.errors import ProgramError, UsageError
from namel3ss.gateway.plan import plan_gateway
from tests.gateway.plans import ONE_MODEL, plan_of

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY = "gateway team { servers: [gpu1] }\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (f'{ONE_MODEL}server gpu1 {{ base_url: "not a URL" }}\n{GATEWAY}', "server 'gpu1'"),
        (
            'ai model chat_model { provider: ollama  model: "tiny"  config: { temperature: 9000 } }\n'
            'server gpu1 { base_url: "http://127.0.0.1:1" }\n'
            "gateway team { servers: [gpu1]  models: [chat_model] }\n",
            "ai model 'chat_model'",
        ),
    ],
    ids=["a server", "a model"],
)
def test_gateway_with_a_broken_part_is_not_served(text: str, part: str) -> None:
    program = check_text(text, "team.ai")
    with pytest.raises(ProgramError) as caught:
        plan_gateway(program, None, {})
    assert caught.value.diagnostics
    assert part in caught.value.message or "gateway 'team'" in caught.value.message


def test_gateway_whose_server_lacks_its_variable_says_which() -> None:
    program = check_text(f"{ONE_MODEL}server gpu1 {{ base_url: env.GPU_URL }}\n{GATEWAY}", "team.ai")

    with pytest.raises(ProgramError, match="server 'gpu1', which lacks a variable") as caught:
        plan_gateway(program, None, {})

    assert program.errors == ()
    assert caught.value.diagnostics == program.diagnostics
    assert "GPU_URL is not set" in str(program.diagnostics[0])


def test_gateway_that_is_not_there_is_told_with_those_that_are() -> None:
    program = check_text(f"{ONE_MODEL}gateway team {{ }}\ngateway other {{ }}\n", "team.ai")
    with pytest.raises(UsageError, match="taem") as caught:
        plan_gateway(program, "taem", {})
    assert caught.value.suggestion is not None
    assert "team" in caught.value.suggestion
    with pytest.raises(UsageError, match="2 gateways"):
        plan_gateway(program, None, {})
    with pytest.raises(ProgramError, match="no gateway"):
        plan_gateway(check_text(ONE_MODEL, "team.ai"), None, {})


@pytest.mark.parametrize("name", [None, "team"])
def test_file_that_is_not_there_is_no_file_without_a_gateway(tmp_path: Path, name: str | None) -> None:
    missing = tmp_path / "missing.ai"
    with pytest.raises(ProgramError, match="no file") as caught:
        plan_gateway(read_program(missing, environ={}), name, {})
    assert str(missing) in caught.value.message


def test_without_servers_each_address_of_the_models_is_one_for_those_models_alone() -> None:
    plan = plan_of(
        'ai model a { provider: ollama  model: "one"  base_url: "http://127.0.0.1:1" }\n'
        'ai model b { provider: ollama  model: "two"  base_url: "http://127.0.0.1:1" }\n'
        'ai model c { provider: ollama  model: "two"  base_url: "http://127.0.0.1:2" }\n'
        "gateway team { }\n"
    )
    assert {backend.base_url: backend.models for backend in plan.backends} == {
        "http://127.0.0.1:1": frozenset({"one", "two"}),
        "http://127.0.0.1:2": frozenset({"two"}),
    }


def test_a_moved_server_takes_no_key_along() -> None:
    plan = plan_of(
        f'{ONE_MODEL}server gpu1 {{ base_url: "http://127.0.0.1:1"  api_key: env.GPU_KEY }}\n{GATEWAY}',
        {"GPU_KEY": "canary"},
    )
    moved = plan.moved({"gpu1": "http://127.0.0.1:2/"})
    assert plan.backends[0].api_key is not None
    assert (moved.backends[0].base_url, moved.backends[0].api_key) == ("http://127.0.0.1:2", None)
    assert "canary" not in repr(plan)


@pytest.mark.fault(64)
def test_declared_waits_are_seconds_however_they_are_written() -> None:
    config = "first_token_timeout: 1m30s  idle_timeout: none  total_timeout: env.TOTAL"
    model = f'ai model chat {{ provider: ollama  model: "tiny"  config: {{ {config} }} }}\n'
    gateway = 'server gpu1 { base_url: "http://127.0.0.1:11434" }\ngateway team { }\n'

    (served,) = plan_of(model + gateway, {"TOTAL": "20"}).models

    assert served.waits_s == {"first_token_timeout": 90.0, "idle_timeout": None, "total_timeout": 20.0}
