"""`server` and `gateway`: what they may say, what they name, and what a gateway is then told."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations.fallbacks import Fallback
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings
from namel3ss.declarations.gateway_values import Listener, parse_size
from namel3ss.errors import ProgramError
from namel3ss.language import Severity
from tests.declarations.checks import check, codes, marked, only, places

if TYPE_CHECKING:
    from namel3ss.declarations import ProgramFile

_MODELS = """
ai model chat { provider: ollama, model: llama3:8b }
ai model coder { provider: ollama, model: qwen2.5-coder:7b }
"""
_SERVERS = """
server gpu1 { base_url: "http://10.0.0.5:11434", slots: 2 }
server gpu2 { base_url: "http://10.0.0.6:11434", slots: 4, max_loaded_models: 2, weight: 1.5, shared: true }
"""


def gateway(settings: str, **environ: str) -> ProgramFile:
    """The check of a gateway with these settings, two models and two servers."""
    return check(f"{_MODELS}{_SERVERS}gateway team {{\n{settings}\n}}", **environ)


def settings_of(settings: str, **environ: str) -> GatewaySettings:
    program = gateway(settings, **environ)
    assert codes(program) == []
    return program.gateways["team"].settings(environ)


def test_a_gateway_that_says_nothing_has_every_server_and_model_and_the_defaults():
    team = gateway("").gateways["team"]

    assert (team.servers, team.models) == (("gpu1", "gpu2"), ("chat", "coder"))
    assert team.settings({}) == GatewaySettings()
    assert team.settings({}).listen == Listener("127.0.0.1", 8080)
    assert team.settings({}).queue.max_wait == 120.0


def test_every_setting_is_read_by_its_type_and_unit():
    team = settings_of(
        """
        listen: "0.0.0.0:9000"
        admin_listen: "[::1]:9001"
        servers: [gpu1, gpu2]
        models: [coder, chat]
        cloud_models: true
        queue: { max_waiting: 5, max_waiting_per_user: 2, max_wait: none, ageing: 90, reserve: 1 }
        priorities: { coding: 0, chat: 5, direct_api: 9 }
        whitelist: { direct_api: ["127.0.0.1", "10.1.0.0/16"] }
        allow_addresses: ["0.0.0.0/0", "::/0"]
        trusted_proxies: ["10.0.0.1"]
        hosts: ["LLM.example.com", "10.0.0.7"]
        cors: ["https://chat.example.com", "http://localhost:3000"]
        limits: { body: 2MB, num_ctx: none, num_predict: 100, keep_alive: 30m, streams_per_user: 3 }
        pull: { allow: ["llama3:*"], wait: 1m, auto_update: 24h }
        fallback: { model: chat, when: { wait_over: 30s } }
        cache: { ttl: 10m, max_bytes: 1.5MiB }
        database: "postgresql://db.example.com/gateway"
        coordination: null
        wedge_after: 2m
        store_prompts: true
        shutdown_grace: 5s
        description: "Ours."
        """
    )

    assert (str(team.listen), str(team.admin_listen)) == ("0.0.0.0:9000", "[::1]:9001")
    assert (team.queue.max_wait, team.queue.ageing, team.queue.reserve) == (None, 90.0, 1)
    assert (team.limits.body, team.limits.num_ctx, team.limits.keep_alive) == (2_000_000, None, 1800.0)
    assert team.whitelist["direct_api"][1] == ipaddress.ip_network("10.1.0.0/16")
    assert team.hosts == ["llm.example.com", "10.0.0.7"]
    assert team.pull.auto_update == 86_400.0
    assert team.cache is not None
    assert team.cache.max_bytes == 1_572_864
    assert isinstance(team.fallback, Fallback)
    assert (team.fallback.model, team.fallback.when.wait_over) == ("chat", 30.0)


def test_the_models_of_a_gateway_keep_the_order_written_and_come_once():
    team = gateway("models: [coder, chat, coder]\nservers: [gpu2, gpu1]").gateways["team"]

    assert (team.servers, team.models) == (("gpu2", "gpu1"), ("coder", "chat"))


def test_a_gateway_serves_models_on_ollama_only_where_it_lists_none():
    program = check(
        """
        ai model base { provider: ollama }
        ai model chat { extends: base, model: llama3:8b }
        gateway team { servers: [] }
        """
    )

    assert codes(program) == []
    assert program.gateways["team"].models == ("chat",)
    assert program.gateways["team"].servers == ()


def test_a_server_has_its_settings_with_the_values_of_the_environment():
    program = check(
        """
        server gpu1 { base_url: env.GPU ?? "http://10.0.0.5:11434/", slots: env.SLOTS ?? 2, api_key: env.KEY ?? null }
        """
    )

    server = program.servers["gpu1"]
    assert server.settings({}) == ServerSettings(base_url="http://10.0.0.5:11434", slots=2)
    found = server.settings({"GPU": "https://gpu.example.com", "SLOTS": "8", "KEY": "hidden"})
    assert (found.base_url, found.slots) == ("https://gpu.example.com", 8)
    assert "hidden" not in repr(found)


def test_a_variable_that_is_not_set_is_a_warning_and_an_error_when_the_gateway_starts():
    program = gateway("database: env.DATABASE")

    assert codes(program) == ["N3301"]
    with pytest.raises(ProgramError, match="DATABASE") as caught:
        program.gateways["team"].settings({})
    assert "N3301" in str(caught.value.diagnostics)
    assert program.gateways["team"].settings({"DATABASE": "sqlite:///x.db"}).database == "sqlite:///x.db"


def test_a_variable_that_does_not_fit_is_an_error_when_the_gateway_starts():
    program = gateway("listen: env.LISTEN ?? '127.0.0.1:1'")

    with pytest.raises(ProgramError, match="listen"):
        program.gateways["team"].settings({"LISTEN": "nowhere"})


@pytest.mark.parametrize(
    ("settings", "code", "mark"),
    [
        ("lisen: 'x'", "N3201", "lisen"),
        ("queue: { max_wating: 3 }", "N3201", "max_wating"),
        ("queue: { size: 3 }", "N3201", "size"),
        ("listen: 8080", "N3202", "8080"),
        ("listen: '127.0.0.1'", "N3202", "'127.0.0.1'"),
        ("listen: '127.0.0.1:99999'", "N3202", "'127.0.0.1:99999'"),
        ("listen: '[10.0.0.1]:80'", "N3202", "'[10.0.0.1]:80'"),
        ("queue: 3", "N3202", "3"),
        ("queue: { max_waiting: -1 }", "N3202", "-1"),
        ("queue: { max_wait: soon }", "N3202", "soon"),
        ("priorities: { coding: high }", "N3202", "high"),
        ("priorities: { coding: -1 }", "N3202", "-1"),
        ("priorities: {}", "N3202", "{}"),
        ("allow_addresses: ['10.0.0.1/8']", "N3202", "'10.0.0.1/8'"),
        ("allow_addresses: [everybody]", "N3202", "everybody"),
        ("whitelist: { default: ['10.0.0.300'] }", "N3202", "'10.0.0.300'"),
        ("hosts: ['http://x']", "N3202", "'http://x'"),
        ("hosts: []", "N3202", "[]"),
        ("cors: ['*']", "N3202", "'*'"),
        ("cors: ['https://x.example/']", "N3202", "'https://x.example/'"),
        ("limits: { body: 20 }", "", ""),
        ("limits: { body: 0 }", "N3202", "0"),
        ("limits: { body: lots }", "N3202", "lots"),
        ("limits: { num_ctx: 0 }", "N3202", "0"),
        ("database: 'mysql://x/y'", "N3202", "'mysql://x/y'"),
        ("fallback: nobody", "N3112", "nobody"),
        ("fallback: { model: nobody }", "N3112", "nobody"),
        ("servers: [gpu3]", "N3701", "gpu3"),
        ("models: [chat, llama3:8b]", "N3702", "llama3:8b"),
        ("anonymous: guests", "N3704", "guests"),
        ("listen: 'localhost:7000'\nadmin_listen: 'localhost:7000'", "N3705", "'localhost:7000'"),
        ("coordination: 'redis://x'", "N3707", "'redis://x'"),
        ("database: 'postgresql://me:secret@db/x'", "N3302", "'postgresql://me:secret@db/x'"),
        ("step one { prompt: 'x' }", "N3108", "step"),
        ("queue: {}\nqueue: {}", "N3203", "queue"),
    ],
)
def test_what_a_gateway_cannot_say_is_reported_where_it_stands(settings: str, code: str, mark: str):
    program = gateway(settings)

    assert [(found.code, marked(found)) for found in program.diagnostics] == ([(code, mark)] if code else [])
    assert list(program.gateways) == ([] if code else ["team"])
    assert program.broken_gateways == (("team",) if code else ())
    assert list(program.models) == ["chat", "coder"]


@pytest.mark.parametrize(
    ("settings", "code", "mark"),
    [
        ("slots: 2", "N3207", "gpu"),
        ("base_url: 'gpu:11434'", "N3202", "'gpu:11434'"),
        ("base_url: 'http://gpu:0'", "N3202", "'http://gpu:0'"),
        ("base_url: 'http://gpu?x=1'", "N3202", "'http://gpu?x=1'"),
        ("base_url: 'http://me:secret@gpu'", "N3302", "'http://me:secret@gpu'"),
        ("base_url: 'http://gpu', slots: 0", "N3202", "0"),
        ("base_url: 'http://gpu', weight: 0", "N3202", "0"),
        ("base_url: 'http://gpu', api_key: secret", "N3302", "secret"),
        ("base_url: 'http://gpu', num_parallel: 2", "N3201", "num_parallel"),
    ],
)
def test_what_a_server_cannot_say_is_reported_where_it_stands(settings: str, code: str, mark: str):
    program = check(f"server gpu {{ {settings} }}")

    assert [(found.code, marked(found)) for found in program.diagnostics] == [(code, mark)]
    assert (dict(program.servers), program.broken_servers) == ({}, ("gpu",))


def test_a_misspelt_server_has_the_right_name_as_its_fix():
    found = only(gateway("servers: [gpu1, gpu_2]"))

    assert found.help == "did you mean `gpu2`?"
    assert found.fixes[0].edits[0].text == "gpu2"


def test_requests_without_a_key_are_for_this_machine_only():
    inside = gateway("listen: '127.0.0.1:1'\nanonymous: default")
    outside = gateway(
        "listen: '10.0.0.1:1'\nallow_addresses: ['10.0.0.0/8']\nhosts: ['x']\nanonymous: default"
    )

    assert codes(inside) == []
    assert places(outside) == [("N3706", 10, "default")]


def test_a_model_that_only_others_extend_cannot_be_served():
    program = check(
        """
        ai model base { provider: ollama }
        ai model chat { extends: base, model: llama3:8b }
        gateway team { models: [base] }
        """
    )

    assert codes(program) == ["N3703"]


def test_a_broken_model_or_server_is_reported_once():
    program = check(
        """
        ai model chat { provider: ollama, model: llama3:8b, config: { temperature: 9 } }
        server gpu1 { base_url: nowhere }
        gateway team { models: [chat], servers: [gpu1] }
        """
    )

    assert codes(program) == ["N3202", "N3202"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("whitelist: { direct: ['10.0.0.1'] }", ["N3710"]),
        ("listen: '0.0.0.0:8080'", ["N3712"]),
        ("listen: '0.0.0.0:8080'\nallow_addresses: ['10.0.0.0/8']", ["N3712"]),
        ("listen: '0.0.0.0:8080'\nallow_addresses: ['10.0.0.0/8']\nhosts: ['llm.example.com']", []),
        ("models: []", ["N3713"]),
        ("queue: { reserve: 4 }", ["N3714"]),
        ("queue: { reserve: 3 }", []),
        ("servers: [gpu2]", ["N3716"]),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(settings: str, expected: list[str]):
    program = gateway(settings)

    assert codes(program) == expected
    assert {found.severity for found in program.diagnostics} <= {Severity.WARNING}
    assert list(program.gateways) == ["team"]


def test_two_servers_at_one_address_are_a_warning():
    program = check(
        """
        server one { base_url: "http://10.0.0.5:11434" }
        server two { base_url: "http://10.0.0.5:11434/" }
        """
    )

    assert codes(program) == ["N3711"]
    assert list(program.servers) == ["one", "two"]


def test_an_address_that_the_servers_replace_is_a_hint():
    program = check(
        """
        ai model chat { provider: ollama, model: x, config: { base_url: "http://10.0.0.9:11434" } }
        server gpu1 { base_url: "http://10.0.0.5:11434" }
        gateway team {}
        """
    )

    assert [(found.code, found.severity) for found in program.diagnostics] == [("N3715", Severity.INFO)]


def test_a_name_is_used_once_in_a_program():
    program = check(
        """
        ai model gpu1 { provider: ollama, model: x }
        server gpu1 { base_url: "http://10.0.0.5:11434" }
        """
    )

    assert codes(program) == ["N3104"]


def test_names_of_a_file_that_is_missing_are_not_reported():
    program = check('import "./models.ai"\ngateway team { models: [chat], servers: [gpu1] }')

    assert codes(program) == ["N3407"]


def test_a_file_with_a_gateway_still_gives_its_models():
    assert list(gateway("lisen: 'x'").models) == ["chat", "coder"]


def test_a_gateway_with_a_syntax_error_breaks_nothing_else():
    program = gateway("queue: { max_waiting: 3 4 }")

    assert codes(program) == ["N3002"]
    assert (dict(program.gateways), list(program.servers)) == ({}, ["gpu1", "gpu2"])


def test_the_password_of_a_database_is_in_no_repr():
    team = gateway("database: env.DATABASE", DATABASE="postgresql://me:hidden@db/x").gateways["team"]

    assert "hidden" not in repr(team.settings({"DATABASE": "postgresql://me:hidden@db/x"}))


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("20MB", 20_000_000), ("20 kB", 20_000), ("1KiB", 1024), ("1.5GiB", 1_610_612_736)],
)
def test_sizes_are_read_with_their_units(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "MB", "-1MB", "1PB", "1 2MB", "１MB"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_a_value_with_a_password_in_it_is_not_repeated_in_a_message():
    program = gateway("database: 'mysql://me:hidden@db/x'\nlisten: 'http://me:hidden@x'")

    assert sorted(codes(program)) == ["N3202", "N3202", "N3302", "N3806"]
    assert "hidden" not in " ".join(f"{found.message} {found.help}" for found in program.diagnostics)
