"""Where changes of models are noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AuditLog"]


class AuditLog(Protocol):
    """The audit log. What is asked for is noted before it is done, so that nothing is done that is not noted."""

    async def record(
        self,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        *,
        patiently: bool = False,
    ) -> None:
        """On the disk when this returns; `patiently` where nobody waits for it. Raises Refusal."""
