"""What stands between the clients and the server in turn: nothing, nginx, the floor, LiteLLM's proxy, and the gateway."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.provider.compare import on_core

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
LITELLM = "litellm[proxy]==1.106.2"
OURS, DIRECT, FLOOR, NGINX, PEER = "namel3ss", "direct", "aiohttp pass-through", "nginx", "LiteLLM proxy"
_LITELLM_KEY = "sk-Tq7vXw2mK9pLs4Zr8bYc1Nd6"

PROGRAM = """
ai model plain {{ provider: ollama  model: plain }}
ai model burst {{ provider: ollama  model: "burst-200" }}
ai model paced {{ provider: ollama  model: "paced-50-10" }}
ai model gated {{ provider: ollama  model: gate }}
server only {{ base_url: "http://127.0.0.1:{upstream}"  slots: {slots}  max_loaded_models: 8 }}
gateway bench {{
    listen: "127.0.0.1:{port}"
    admin_listen: "127.0.0.1:{admin}"
    servers: [only]
    priorities: {{ all: 0 }}
    queue: {{ max_waiting: 20000, max_waiting_per_user: 20000, max_wait: 10m }}
    limits: {{ streams_per_user: 20000 }}
}}
"""


@dataclass
class Contender:
    """One that runs. `path` is where its clients ask."""

    name: str
    port: int
    path: str = "/api/chat"
    key: str = "none"
    what: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def memory_bytes(self) -> int:
        """What the process and its children hold in memory now."""
        return sum(map(_resident, self.tree()))

    def cpu_s(self) -> float:
        """The processor time that they have used."""
        ticks = os.sysconf("SC_CLK_TCK")
        found = 0.0
        for process in self.tree():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / ticks
        return found

    def tree(self) -> Iterator[int]:
        """Its processes and their children."""
        for process in self.processes:
            yield process.pid
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            yield from map(int, children.read_text().split())

    def end(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def wait_until_up(url: str, process: subprocess.Popen[bytes], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"what should serve {url} ended with code {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing serves {url}")


def direct(upstream: int) -> Contender:
    return Contender(DIRECT, upstream, what="no gateway")


def floor(upstream: int) -> Contender:
    port = free_port()
    process = subprocess.Popen(
        [*on_core(1), sys.executable, str(HERE / "passthrough.py"), str(upstream), str(port)]
    )
    wait_until_up(f"http://127.0.0.1:{port}/api/version", process)
    return Contender(FLOOR, port, what="no keys, queue or counting", processes=[process])


def nginx(upstream: int, folder: Path) -> Contender | None:
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        return None
    port = free_port()
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        f"""worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ worker_connections 16384; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000000;
  upstream ollama {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=10000; location / {{ proxy_pass http://ollama; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_buffering off; }} }} }}"""
    )
    process = subprocess.Popen(
        [*on_core(1), program, "-c", str(folder / "nginx.conf"), "-p", str(folder)],
        stderr=subprocess.DEVNULL,
    )
    wait_until_up(f"http://127.0.0.1:{port}/api/version", process)
    return Contender(NGINX, port, what="no keys, queue or counting; buffering off", processes=[process])


def litellm(upstream: int, folder: Path, python: str | None) -> Contender:
    if python is None:
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", LITELLM], check=True)
    port = free_port()
    models = "".join(
        f"  - model_name: {name}\n    litellm_params: {{ model: openai/{name}, api_base: 'http://127.0.0.1:{upstream}/v1', api_key: none }}\n"
        for name in ("plain", "burst-200", "paced-50-10")
    )
    config = folder / "litellm.yaml"
    config.write_text(
        f"model_list:\n{models}general_settings: {{ master_key: {_LITELLM_KEY} }}\nrouter_settings: {{ num_retries: 0 }}\n"
    )
    process = subprocess.Popen(
        [
            *on_core(1),
            str(Path(python).parent / "litellm"),
            *("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"),
        ],
        env={**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until_up(f"http://127.0.0.1:{port}/health/liveliness", process)
    return Contender(
        PEER,
        port,
        "/v1/chat/completions",
        _LITELLM_KEY,
        "one key; no queue; OpenAI's protocol",
        processes=[process],
    )


def ours(upstream: int, folder: Path, *, slots: int = 64) -> Contender:
    return serve(PROGRAM, folder, upstream=upstream, slots=slots)


def serve(program: str, folder: Path, **values: object) -> Contender:
    """The gateway of a program, as a user starts it: the key first, then the gateway. `values` fill the program's gaps."""
    folder.mkdir()
    file = folder / "bench.ai"
    port = free_port()
    file.write_text(program.format(port=port, admin=free_port(), **values))
    environ: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "namel3ss"]
    made = [*command, "gateway"]
    subprocess.run(
        [*made, "user", "create", "bench", "--file", str(file), "--json"],
        check=True,
        env=environ,
        stdout=subprocess.DEVNULL,
    )
    created = subprocess.run(
        [*made, "key", "create", "bench", "--file", str(file), "--json"],
        check=True,
        stdout=subprocess.PIPE,
        env=environ,
    )
    key: str = json.loads(created.stdout)["key"]
    process = subprocess.Popen(
        [*on_core(1), *command, "serve", str(file)],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"),
    )
    wait_until_up(f"http://127.0.0.1:{port}/health/ready", process)
    return Contender(OURS, port, key=key, what="keys, queue, limits, usage, metrics", processes=[process])
