"""Words of servers, without what belongs to the machines behind the gateway: paths, addresses, keys, traces of code.

Where there is nothing of the kind, and that is the rule, the bytes stay as they are.
"""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["clean_error", "clean_words"]

# Every run of characters is tried once and never again in part, so the time grows with the length alone. What a pattern
# cannot tell is left to `_stand_in`.
_HIDDEN: Final = re.compile(
    rb"""
      (?P<trace> goroutine\ \d{1,9}\ \[ [^"]*+ )                              # Go prints its stacks so
    | (?P<key> (?i:\bbearer\ {1,9}) [^\s"\\,;]++ | \b(?:sk|pk|n3|hf|ghp|xox[bp])[-_][A-Za-z0-9_\-]{12,}+ )
    | (?P<url> \b[a-z][a-z0-9+.\-]{1,15}://[^\s"\\<>]++ )
    | (?P<peer> (?: (?<=\bdial\ tcp\ ) | (?<=\blookup\ ) ) [^\s"\\]++ )
    | (?P<address>
        \[[0-9A-Fa-f.]*+:[0-9A-Fa-f:.]*+(?:%25?\w{1,20})?\](?::\d{1,5})?      # [::1]:11434
      | (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)(?::\d{1,5}\b)?             # 10.0.0.5:11434
      )
    | (?P<host> (?<![\w.\-])[A-Za-z0-9][A-Za-z0-9.\-]*+:\d{2,5}\b )           # gpu.internal:11434
    | (?P<path>
        (?<![\w<./~])(?:~|\.{1,2})?/[\w.@+\-:/]*+                             # /root/.ollama/models/blobs
      | (?<!\w)[A-Za-z]:\\{1,2}(?:[^\\"\r\n:]++\\{1,2})*+[^\\"\s:]*+          # C:\Users and so on
      )
    """,
    re.VERBOSE,
)
_BEGINNINGS_OF_JSON: Final = (b"{", b"[", b'"', b"data:", b"event:")
# Strings, and what stands between them; one that never ends goes on to the end.
_STRINGS: Final = re.compile(rb'("(?:[^"\\]++|\\.)*+"?)', re.DOTALL)
_ESCAPES_OF_GO: Final = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
_HOST_NAME: Final = re.compile(rb"localhost|.*\.[A-Za-z]{2,}")
_STAND_INS: Final = {"trace": b"(trace)", "key": b"(key)", "path": b"(path)"}
_PUNCTUATION: Final = b".,:;"


def clean_error(body: bytes) -> bytes:
    """A server's error: JSON (a document, lines or events), which it stays, or a text."""
    if not body.lstrip().startswith(_BEGINNINGS_OF_JSON):
        return _HIDDEN.sub(_stand_in, body)
    # What is looked for is looked for in the texts that the strings stand for: escapes have letters and backslashes, too.
    return b"".join(
        _clean_string(part) if part.startswith(b'"') else _HIDDEN.sub(_stand_in, part)
        for part in _STRINGS.split(body)
    )


def clean_words(text: str) -> str:
    """The same for a text."""
    return _HIDDEN.sub(_stand_in, text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _clean_string(literal: bytes) -> bytes:
    if b"\\" not in literal:
        return _HIDDEN.sub(_stand_in, literal)
    try:
        text: str = json.loads(literal.decode("utf-8", "replace"), strict=False)
    except ValueError:  # it is cut off, or only looks like JSON
        return _HIDDEN.sub(_stand_in, literal)
    cleaned = clean_words(text)
    return literal if cleaned == text else _as_go_writes(cleaned)


def _as_go_writes(text: str) -> bytes:
    """A string of JSON with the escapes of Ollama's own encoder, so that nothing else changes in it."""
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPES_OF_GO).encode("utf-8", "replace")


def _stand_in(match: re.Match[bytes]) -> bytes:
    found, kind = match[0], match.lastgroup or "path"
    if kind == "host" and not _HOST_NAME.fullmatch(found.rpartition(b":")[0]):
        return found  # a model and its tag, such as llama3.1:70
    if kind == "path" and not found.strip(b"./~"):
        return found
    end = found[len(found.rstrip(_PUNCTUATION)) :]
    return _STAND_INS.get(kind, b"(address)") + end
