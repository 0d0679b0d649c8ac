"""What the errors of every provider with a server have in common.

Each provider has a root of its own below `RemoteError`, so that a program that catches one provider's errors does not
silently catch another's.
"""

from __future__ import annotations

from typing import ClassVar

from namel3ss.providers.base import ProviderError

__all__ = ["RemoteError"]


class RemoteError(ProviderError):
    """A server failed, or could not be asked: `message` says what, `suggestion` what to do.

    `status` is the HTTP status where there was one, `request_id` the server's own number of the request. `error_type` is
    a word from the closed list of `namel3ss.observability.error_types`. `retryable`: the same request may well succeed
    later. An error that interrupts an answer keeps what had arrived in `partial_text`, `partial_thinking` and `chunks`.
    """

    error_type: str = "_OTHER"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        base_url: str | None = None,
        suggestion: str | None = None,
        original_error: BaseException | None = None,
        status: int | None = None,
        error_type: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.model = model
        self.base_url = base_url
        self.status = status
        self.request_id = request_id
        if error_type is not None:
            self.error_type = error_type
        self.partial_text = ""
        self.partial_thinking = ""
        self.chunks = 0
        if original_error is not None:
            self.__cause__ = original_error

    @property
    def original_error(self) -> BaseException | None:
        """What this error was made from. It is the `__cause__`, so it is shown in a traceback and not pickled."""
        return self.__cause__

    def __str__(self) -> str:
        lines = [self.message]
        if self.model:
            lines.append(f"Model: {self.model}")
        if self.base_url:
            lines.append(f"Server: {self.base_url}")
        if self.request_id:
            lines.append(f"Request: {self.request_id}")
        if self.suggestion:
            lines += ["", f"Suggestion: {self.suggestion}"]
        return "\n".join(lines)
