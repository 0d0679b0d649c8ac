"""Offline servers in the place of a gateway's own."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.cli.session import Session
    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["offline_servers"]


@contextlib.contextmanager
def offline_servers(session: Session, plan: GatewayPlan, tokens_per_second: float) -> Iterator[GatewayPlan]:
    """The plan with a sandbox for each server, for as long as the block lasts. The declared models are installed."""
    from namel3ss.sandbox import SandboxOptions, SandboxServer
    from namel3ss.sandbox.names import ModelName

    installed = tuple(
        dict.fromkeys(model.model for model in plan.models if ModelName.parse(model.model).is_valid)
    )
    options = SandboxOptions(installed=installed, tokens_per_second=tokens_per_second)
    with contextlib.ExitStack() as stack:
        addresses = {
            backend.name: stack.enter_context(SandboxServer(options)).url for backend in plan.backends
        }
        session.output.note("Sandbox: no model runs, the answers are made up.")
        # Nothing leaves the machine, and so nothing is asked elsewhere.
        yield replace(plan.moved(addresses), fallback=None)
