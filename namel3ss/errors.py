"""The root of every error that namel3ss raises on purpose.

    N3Error
    ├── ProgramError          a `.ai` file is wrong, or cannot be read
    ├── UsageError            the call was wrong (also a ValueError)
    └── ProviderError         the world failed (namel3ss.providers.base)
        └── OllamaError …     (namel3ss.providers.local.ollama)

An error says what happened, to which value, and what to do. Programming mistakes that Python already has a
name for (a wrong type, a closed object) stay `TypeError` and `RuntimeError`.
"""

from __future__ import annotations

__all__ = ["N3Error", "ProgramError", "UsageError"]


class N3Error(Exception):
    """Something that namel3ss can explain.

    `message` is one sentence naming the value; `suggestion` says what to do and may span lines; it is None only
    where nothing useful can be said. `str()` joins both.
    """

    def __init__(self, message: str, *, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        if self.suggestion:
            return f"{self.message}\n\nSuggestion: {self.suggestion}"
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, which replays `args` alone.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[N3Error], args: tuple[object, ...], state: dict[str, object]) -> N3Error:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ProgramError(N3Error):
    """A `.ai` file cannot be used. `diagnostics` holds every finding (namel3ss.language.Diagnostic)."""

    def __init__(
        self, message: str, *, suggestion: str | None = None, diagnostics: tuple[object, ...] = ()
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.diagnostics = diagnostics


class UsageError(N3Error, ValueError):
    """The caller asked for something that cannot be done: an unknown model name, a value out of range."""
