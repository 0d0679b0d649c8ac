"""An offline server that speaks Ollama's API, for first runs, demonstrations, CI and tests.

    from namel3ss.sandbox import SandboxOptions, SandboxServer

    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
        print(server.url)

Its answers are made up and say so. It needs the extra `sandbox`; importing this package does not.
"""

from __future__ import annotations

from namel3ss.sandbox.faults import Fault, FaultRule, parse_fault
from namel3ss.sandbox.options import OllamaVersion, SandboxOptions
from namel3ss.sandbox.server import SandboxServer, serve

__all__ = ["Fault", "FaultRule", "OllamaVersion", "SandboxOptions", "SandboxServer", "parse_fault", "serve"]
