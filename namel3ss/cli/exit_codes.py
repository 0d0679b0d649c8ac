"""The one table from what happened to the number a command exits with.

`docs/command-line.md` prints the same table; a test compares them, and another finds a row for every error class.
Errors are looked up by name, so that answering does not import the rooms they come from.
"""

from __future__ import annotations

import enum
from typing import Final

from namel3ss.errors import N3Error

__all__ = ["ERRORS", "MEANINGS", "ExitCode", "exit_code_of"]


class ExitCode(enum.IntEnum):
    """What a command exits with."""

    OK = 0
    PROGRAM = 1
    USAGE = 2
    SERVER = 3
    MODEL = 4
    CONTEXT = 5
    TIMEOUT = 6
    ANSWER = 7
    BUG = 70
    INPUT_OUTPUT = 74
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final[dict[ExitCode, str]] = {
    ExitCode.OK: "done; also when the reader of a pipe went away",
    ExitCode.PROGRAM: "the `.ai` file has errors, or cannot be read",
    ExitCode.USAGE: "the command was called wrongly",
    ExitCode.SERVER: "no usable server: unreachable, not installed, busy, too old, or it refused us",
    ExitCode.MODEL: "the model is missing, cannot be pulled, cannot be loaded, or cannot do what was asked",
    ExitCode.CONTEXT: "the input does not fit into the context window",
    ExitCode.TIMEOUT: "the server took too long to answer",
    ExitCode.ANSWER: "the server failed at or refused the request, or the answer broke off",
    ExitCode.BUG: "an error nobody foresaw: a bug of namel3ss",
    ExitCode.INPUT_OUTPUT: "a file, the terminal, the disk or the gateway's database failed",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C (SIGINT)",
    ExitCode.TERMINATED: "stopped by SIGTERM",
}

# An error without a row takes that of its nearest ancestor: errors of outside providers end at ProviderError.
ERRORS: Final[dict[str, ExitCode]] = {
    "N3Error": ExitCode.ANSWER,
    "ProgramError": ExitCode.PROGRAM,
    "PluginError": ExitCode.PROGRAM,
    "UsageError": ExitCode.USAGE,
    "TemplateError": ExitCode.PROGRAM,
    "StepError": ExitCode.ANSWER,
    "StepTimeoutError": ExitCode.TIMEOUT,
    "ToolRoundsError": ExitCode.ANSWER,
    "OutputError": ExitCode.INPUT_OUTPUT,
    "StoreError": ExitCode.INPUT_OUTPUT,
    "GatewayClientError": ExitCode.SERVER,
    "ProviderError": ExitCode.ANSWER,
    "RemoteError": ExitCode.ANSWER,
    "StructuredOutputError": ExitCode.ANSWER,
    "OllamaError": ExitCode.ANSWER,
    "OllamaServerUnreachableError": ExitCode.SERVER,
    "OllamaServerNotInstalledError": ExitCode.SERVER,
    "OllamaServerStartFailedError": ExitCode.SERVER,
    "OllamaServerBusyError": ExitCode.SERVER,
    "OllamaServerTooOldError": ExitCode.SERVER,
    "OllamaAuthError": ExitCode.SERVER,
    "OllamaConnectTimeoutError": ExitCode.SERVER,
    "OllamaModelNotFoundError": ExitCode.MODEL,
    "OllamaModelPullError": ExitCode.MODEL,
    "OllamaPullStalledError": ExitCode.MODEL,
    "OllamaManifestUnknownError": ExitCode.MODEL,
    "OllamaDiskFullError": ExitCode.MODEL,
    "OllamaRunnerError": ExitCode.MODEL,
    "OllamaOutOfMemoryError": ExitCode.MODEL,
    "OllamaCapabilityError": ExitCode.MODEL,
    "OllamaContextWindowExceededError": ExitCode.CONTEXT,
    "OllamaContextTruncatedError": ExitCode.CONTEXT,
    "OllamaFirstTokenTimeoutError": ExitCode.TIMEOUT,
    "OllamaInterTokenTimeoutError": ExitCode.TIMEOUT,
    "OllamaRequestTimeoutError": ExitCode.TIMEOUT,
    "OllamaServerError": ExitCode.ANSWER,
    "OllamaRequestError": ExitCode.ANSWER,
    "OllamaStructuredOutputError": ExitCode.ANSWER,
    "OllamaStreamInterruptedError": ExitCode.ANSWER,
    "OllamaBadResponseError": ExitCode.ANSWER,
    "AnthropicError": ExitCode.ANSWER,
    "AnthropicUnreachableError": ExitCode.SERVER,
    "AnthropicConnectTimeoutError": ExitCode.SERVER,
    "AnthropicKeyMissingError": ExitCode.SERVER,
    "AnthropicAuthError": ExitCode.SERVER,
    "AnthropicBillingError": ExitCode.SERVER,
    "AnthropicBusyError": ExitCode.SERVER,
    "AnthropicRateLimitError": ExitCode.SERVER,
    "AnthropicModelNotFoundError": ExitCode.MODEL,
    "AnthropicCapabilityError": ExitCode.MODEL,
    "AnthropicContextWindowExceededError": ExitCode.CONTEXT,
    "AnthropicFirstTokenTimeoutError": ExitCode.TIMEOUT,
    "AnthropicInterTokenTimeoutError": ExitCode.TIMEOUT,
    "AnthropicRequestTimeoutError": ExitCode.TIMEOUT,
    "AnthropicRequestError": ExitCode.ANSWER,
    "AnthropicRequestTooLargeError": ExitCode.ANSWER,
    "AnthropicServerError": ExitCode.ANSWER,
    "AnthropicStreamInterruptedError": ExitCode.ANSWER,
    "AnthropicBadResponseError": ExitCode.ANSWER,
    "OpenAICompatibleError": ExitCode.ANSWER,
    "OpenAICompatibleUnreachableError": ExitCode.SERVER,
    "OpenAICompatibleConnectTimeoutError": ExitCode.SERVER,
    "OpenAICompatibleKeyMissingError": ExitCode.SERVER,
    "OpenAICompatibleAuthError": ExitCode.SERVER,
    "OpenAICompatibleQuotaError": ExitCode.SERVER,
    "OpenAICompatibleBusyError": ExitCode.SERVER,
    "OpenAICompatibleRateLimitError": ExitCode.SERVER,
    "OpenAICompatibleModelNotFoundError": ExitCode.MODEL,
    "OpenAICompatibleCapabilityError": ExitCode.MODEL,
    "OpenAICompatibleContextWindowExceededError": ExitCode.CONTEXT,
    "OpenAICompatibleFirstTokenTimeoutError": ExitCode.TIMEOUT,
    "OpenAICompatibleInterTokenTimeoutError": ExitCode.TIMEOUT,
    "OpenAICompatibleRequestTimeoutError": ExitCode.TIMEOUT,
    "OpenAICompatibleRequestError": ExitCode.ANSWER,
    "OpenAICompatibleServerError": ExitCode.ANSWER,
    "OpenAICompatibleStreamInterruptedError": ExitCode.ANSWER,
    "OpenAICompatibleBadResponseError": ExitCode.ANSWER,
}


def exit_code_of(error: BaseException) -> ExitCode:
    """The number for an error: of its class or nearest listed ancestor; a bug where there is none.

    A failed step of a chain has the number of what failed in it.
    """
    if type(error).__name__ == "StepError" and isinstance(error.__cause__, N3Error):
        return exit_code_of(error.__cause__)
    if isinstance(error, N3Error):
        for kind in type(error).__mro__:
            if kind.__module__.partition(".")[0] == "namel3ss" and kind.__name__ in ERRORS:
                return ERRORS[kind.__name__]
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError):
        return ExitCode.INPUT_OUTPUT
    return ExitCode.BUG
