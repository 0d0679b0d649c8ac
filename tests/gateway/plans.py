"""Plans for tests, from the text of a program."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from namel3ss.declarations import check_text
from namel3ss.gateway.plan import GatewayPlan, plan_gateway

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_MODEL = 'ai model chat_model { provider: ollama  model: "tiny" }\n'


def plan_of(text: str, environ: Mapping[str, str] | None = None) -> GatewayPlan:
    """The plan of the program's only gateway."""
    program = check_text(text, "team.ai", environ=environ or {})
    assert not program.errors, [finding.message for finding in program.errors]
    return plan_gateway(program, None, environ or {})


@functools.cache
def plan_with(settings: str = "", models: str = ONE_MODEL) -> GatewayPlan:
    """A gateway with these settings in front of one model (`tiny`, declared as `chat_model`)."""
    return plan_of(f"{models}gateway team {{ {settings} }}\n")
