"""Which servers are asked through a proxy of the environment."""

from __future__ import annotations

import os

import pytest

from namel3ss.providers.transport.proxies import EnvironmentProxy, proxy_for

PROXY = EnvironmentProxy("http://proxy.example.com:3128")


@pytest.fixture(autouse=True)
def _only_what_the_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", ["http://proxy.example.com:3128", "proxy.example.com:3128"])
def test_server_in_the_internet_is_asked_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert proxy_for("http://gpu.example.org:11434") == PROXY
    assert proxy_for("http://8.8.8.8:11434") == PROXY


@pytest.mark.parametrize(
    "server",
    [
        "http://localhost:11434", "http://127.0.0.1:11434", "http://[::1]:11434", "http://10.1.2.3:11434",
        "http://192.168.1.7:11434", "http://172.20.0.2", "http://169.254.1.1", "http://[fd00::7]:11434",
        "http://100.101.102.103:11434", "http://ollama:11434", "http://gpu-box", "http://gpu.local",
        "http://host.docker.internal:11434",
    ],
)  # fmt: skip
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
def test_server_of_this_machine_or_network_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, server: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://proxy.example.com:3128")

    assert proxy_for(server) is None
    assert proxy_for(server.replace("http:", "https:")) is None


@pytest.mark.parametrize(
    "excluded", ["*", "example.org", ".example.org", "gpu.example.org", "a,gpu.example.org:11434"]
)
def test_no_proxy_names_servers_that_are_asked_directly(
    monkeypatch: pytest.MonkeyPatch, excluded: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", excluded)

    assert proxy_for("http://gpu.example.org:11434") is None


def test_each_scheme_has_a_proxy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")

    assert proxy_for("http://gpu.example.org") is None
    assert proxy_for("https://gpu.example.org") == PROXY


def test_user_of_a_proxy_is_shown_to_the_proxy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:s%3Acret@proxy.example.com:3128")

    proxy = proxy_for("http://gpu.example.org")

    assert proxy == EnvironmentProxy("http://proxy.example.com:3128", "Basic bWU6czpjcmV0")
    assert "cret" not in repr(proxy)
    assert "bWU6" not in repr(proxy)
