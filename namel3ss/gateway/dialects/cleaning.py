"""Words of servers, without what belongs to the machines behind the gateway: paths, addresses, keys, traces of code.

Where there is nothing of the kind, and that is the rule, the bytes stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["clean_error", "clean_words"]

_HIDDEN: Final = re.compile(
    rb"""
      (?P<trace> goroutine\ \d+\ \[ .*? (?=" | \Z) )                          # Go prints its stacks so
    | (?P<key> (?i:\bbearer\ +) [^\s"\\,;]+ | \b(?:sk|pk|n3|hf|ghp|xox[bp])[-_][A-Za-z0-9_\-]{12,} )
    | (?P<url> \b[a-z][a-z0-9+.\-]{1,15}://[^\s"\\<>]+ )
    | (?P<address>
        (?: (?<=\bdial\ tcp\ ) | (?<=\blookup\ ) ) [^\s"\\]+?(?=:?[\s"\\])
      | \[[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%25?\w+)?\](?::\d{1,5})?            # [::1]:11434
      | (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)(?::\d{1,5}\b)?             # 10.0.0.5:11434
      | \b(?:localhost|(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2,}):\d{2,5}\b           # gpu.internal:11434, not llama3.1:70
      )
    | (?P<path>
        (?<![\w<])(?:~|\.{0,2})/(?:[\w.@+\-:]+/)*[\w.@+\-:]*[\w@+\-]          # /root/.ollama/models/blobs
      | (?<!\w)[A-Za-z]:\\{1,2}(?:[^\\"\r\n:]+\\{1,2})*[^\\"\s:]*             # C:\\Users and so on, as JSON has it
      )
    """,
    re.VERBOSE | re.DOTALL,
)

_STAND_INS: Final = {
    "trace": b"(trace)",
    "key": b"(key)",
    "url": b"(address)",
    "address": b"(address)",
    "path": b"(path)",
}


def clean_error(body: bytes) -> bytes:
    """A server's error, JSON or not. It stays JSON: no quote and no lone backslash is ever taken away."""
    return _HIDDEN.sub(_stand_in, body)


def clean_words(text: str) -> str:
    """The same for a text."""
    return clean_error(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _stand_in(match: re.Match[bytes]) -> bytes:
    return _STAND_INS[match.lastgroup or "path"]
