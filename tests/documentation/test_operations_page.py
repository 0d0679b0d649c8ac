"""What docs/operations.md gives to copy: each file is read by the program that it is for, where that is installed."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sysconfig
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import trustme
import yaml

from namel3ss.declarations import check_text
from namel3ss.gateway.metrics import families
from namel3ss.gateway.plan import plan_gateway
from namel3ss.gateway.serving.advice import advise
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.documentation.pages import ROOT, commands, snippets
from tests.support.command_line import call
from tests.support.eventually import eventually
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.documentation.pages import Snippet

PAGE: Final = ROOT / "docs/operations.md"


def titled(name: str) -> str:
    """The text of the file that the page calls so."""
    return next(snippet.text for snippet in snippets(PAGE) if snippet.title == name)


def programs() -> list[Snippet]:
    return [snippet for snippet in snippets(PAGE) if snippet.language == "ai"]


def served_by(command: str, tmp_path: Path) -> str:
    """What `namel3ss serve` says to the options of a command line, asked only to check."""
    (tmp_path / "team.ai").write_text(programs()[1].text, encoding="utf-8")
    words = command.split()
    assert words[:2] == ["namel3ss", "serve"]
    done = call("serve", tmp_path / "team.ai", *words[3:], "--check", environ={})
    assert done.code == 0, done.stderr
    return done.stdout


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = titled("namel3ss-gateway.service")
    command = re.search(r"^ExecStart=/opt/namel3ss/bin/(.+)$", unit, re.MULTILINE)
    assert command is not None
    served_by(command[1], tmp_path)
    grace = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1])  # type: ignore[index]
    assert grace > 30

    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    file = tmp_path / "namel3ss-gateway.service"
    file.write_text(unit.replace("/opt/namel3ss/bin", sysconfig.get_path("scripts")), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_runs_what_there_is_and_compose_mounts_what_it_keeps(tmp_path: Path) -> None:
    file = titled("Dockerfile")
    command = re.search(r"^ENTRYPOINT (\[.+\])$", file, re.MULTILINE)
    assert command is not None
    served_by(" ".join(yaml.safe_load(command[1])), tmp_path)
    known = {"FROM", "RUN", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT"}
    assert {line.split()[0] for line in file.splitlines()} <= known
    folder = re.search(r"^WORKDIR (.+)$", file, re.MULTILINE)
    assert folder is not None

    services = yaml.safe_load(titled("compose.yaml"))["services"]

    assert [mount.split(":")[1] for mount in services["gateway"]["volumes"]] == [
        f"{folder[1]}/team.ai",
        f"{folder[1]}/.namel3ss",
    ]
    assert "ports" not in services["ollama"], "Ollama asks nobody for a key"


@pytest.mark.parametrize("program", programs(), ids=str)
def test_the_programs_start_without_an_option(program: Snippet) -> None:
    plan = plan_gateway(check_text(program.text, "team.ai", environ={}), None, {})

    assert [advice for advice in advise(plan) if advice.option is not None] == []


@pytest.mark.long
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_its_configuration_and_passes_streams_and_addresses_on(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("llm.example.com")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    settings = 'hosts: ["llm.example.com", "127.0.0.1"]  trusted_proxies: ["127.0.0.1"]'
    listener = tmp_path / "nginx.sock"
    with (
        SandboxServer(SandboxOptions()) as server,
        running_gateway(tmp_path, {"gpu1": server.url}, settings=settings) as gateway,
    ):
        text = titled("namel3ss.conf")
        for written, here in (
            ("listen 443 ssl", f"listen unix:{listener} ssl"),
            ("/etc/ssl/llm.example.com.pem", str(chain)),
            ("/etc/ssl/private/llm.example.com.key", str(key)),
            ("http://127.0.0.1:8080", gateway.url),
            ("$proxy_add_x_forwarded_for", "127.0.0.7"),
        ):
            assert written in text
            text = text.replace(written, here)
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(
            f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {_temporary(tmp_path)} {text} }}\n",
            encoding="utf-8",
        )
        nginx = ["nginx", "-p", str(tmp_path), "-c", str(configuration)]
        tried = subprocess.run([*nginx, "-t"], capture_output=True, text=True, timeout=60, check=False)
        assert tried.returncode == 0, tried.stderr
        assert "[warn]" not in tried.stderr

        with subprocess.Popen(nginx, stderr=subprocess.DEVNULL) as process:
            try:
                eventually(listener.exists)
                transport = httpx.HTTPTransport(uds=str(listener), verify=False)
                with httpx.Client(transport=transport, base_url="https://llm.example.com") as client:
                    headers = {"Authorization": f"Bearer {gateway.key('ada')}"}
                    document = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
                    answer = client.post("/api/chat", json=document, headers=headers)
            finally:
                process.terminate()

    assert answer.status_code == 200
    assert answer.text.splitlines()[-1].count('"done":true') == 1


def _temporary(folder: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def test_caddy_is_told_the_address_that_the_gateway_listens_on() -> None:
    text = titled("Caddyfile")

    assert text.count("{") == text.count("}")
    assert "reverse_proxy 127.0.0.1:8080" in text
    assert 'listen: "127.0.0.1:8080"' in programs()[1].text


def test_a_backup_made_while_the_gateway_runs_is_whole_and_private(tmp_path: Path) -> None:
    (backup,) = (
        command.line
        for snippet in snippets(PAGE)
        if snippet.language == "console" and "backup.db" in snippet.text
        for command in commands(snippet)
    )
    with (
        SandboxServer(SandboxOptions()) as server,
        running_gateway(tmp_path, {"gpu1": server.url}) as gateway,
    ):
        gateway.key("ada")
        subprocess.run(backup, shell=True, cwd=tmp_path, check=True, timeout=60)

    copy = tmp_path / "backup.db"
    with closing(sqlite3.connect(copy)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM users ORDER BY name")]
    assert names == ["ada", "admin"]
    assert copy.stat().st_mode & 0o077 == 0


# -- Prometheus -----------------------------------------------------------------------------------------------


def shown_names() -> set[str]:
    """Every name that /metrics shows."""
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {f"{family.name}{ending}" for family in families.FAMILIES for ending in endings[family.kind]}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(titled("alerts.yml"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_alerts_ask_for_measures_and_labels_that_there_are() -> None:
    labels = {label for family in families.FAMILIES for label in family.labels} | {"le", "job"}
    for rule in rules():
        asked = re.findall(r"\bnamel3ss_\w+", rule["expr"])
        assert set(asked) <= shown_names(), rule["alert"]
        used = re.findall(r"(\w+)(?:=~|!=|=)\"", rule["expr"]) + [
            name for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in re.split(r",\s*", group)
        ]
        assert set(used) <= labels, rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_prometheus_is_told_the_administration_address() -> None:
    (job,) = yaml.safe_load(titled("prometheus.yml"))["scrape_configs"]

    assert job["static_configs"] == [{"targets": ["127.0.0.1:8081"]}]
    assert job["job_name"] in next(rule["expr"] for rule in rules() if rule["alert"] == "GatewayDown")
