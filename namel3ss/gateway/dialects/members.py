"""The members of a body's JSON object, as a server written in Go reads them.

Go takes a key in any mixture of cases, of a key that comes twice the later value, and it does not look at what follows
the object. Whoever decides by a body must read the same, or a second `"Model"` would be another model than the one
that was authorised. So there are two readers: a fast one for bodies in which nothing of the kind is possible, and a
slow one for all others, whose reading is then what is sent on.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple, NoReturn

import msgspec

from namel3ss.gateway.dialects.go_faults import find_fault
from namel3ss.gateway.errors import Reason, Refusal

__all__ = ["KNOWN", "Members", "join_members", "read_members", "read_value", "refuse_depth"]

_LONG_NUMBER: Final = 19
_NULL: Final = b"null"
_SCALARS: Final = frozenset(
    {
        "model",
        "message",
        "prompt",
        "system",
        "suffix",
        "template",
        "raw",
        "top_logprobs",
        "dimensions",
        "instructions",
    }
)
# Of these a null leaves standing what an earlier member of the same name said; of all others it takes it back.

KNOWN: Final = _SCALARS | {
    "messages",
    "input",
    "images",
    "tools",
    "stream",
    "stream_options",
    "options",
    "keep_alive",
    "format",
    "think",
    "truncate",
    "shift",
    "context",
    "logprobs",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "stop",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "output_config",
    "encoding_format",
    "provider",
    "system_prompt",
}
"""The keys that mean something here, in the one spelling under which they are found."""

# Beside ASCII's letters, the two characters that Go takes for letters of it: the long s and the sign for kelvin.
_FOLDING: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ\u017f\u212a", "abcdefghijklmnopqrstuvwxyzsk")

_DECODER: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Members(NamedTuple):
    """`body` is what may be sent on: the caller's own bytes wherever they can be read in one way only."""

    by_name: dict[str, msgspec.Raw]
    body: bytes


def read_members(body: bytes, go_type: str) -> Members:
    """The members by name. `go_type` is what the server calls such a request, for the words of a refusal.

    Raises Refusal for what the server would refuse as well, and for nesting deeper than a thousand.
    """
    try:
        found = _DECODER.decode(body)
    except RecursionError:
        refuse_depth()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _read_slowly(body, go_type)
    if _is_plain(found, body):
        return Members(found, body)
    return _read_slowly(body, go_type)


def _is_plain(found: dict[str, msgspec.Raw], body: bytes) -> bool:
    """Whether the body is exactly these members, once each, and no key is another spelling of a known one.

    It is walked through and not built again: of an image there is no copy.
    """
    at = 1
    for name, value in found.items():
        if name not in KNOWN and name.translate(_FOLDING) in KNOWN:
            return False
        key = b'"%b":' % name.encode()
        if not body.startswith(key, at):
            return False
        at += len(key)
        if body.startswith(b" ", at):
            at += 1
        if not body.startswith(value, at):
            return False
        at += len(memoryview(value))
        if body.startswith(b",", at):
            at += 2 if body.startswith(b" ", at + 1) else 1
    return at == len(body) - 1


def join_members(members: dict[str, msgspec.Raw]) -> bytes:
    """One object of them, in their order."""
    pairs = [msgspec.json.encode(name) + b":" + bytes(value) for name, value in members.items()]
    return b"{%b}" % b",".join(pairs)


def read_value(raw: msgspec.Raw | bytes) -> object:
    """One value, whatever it is. Numbers beyond a float are infinite, and broken surrogates are replaced."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return _whole(json.loads(bytes(raw).decode("utf-8", "replace"), parse_int=_integer))
    except UnicodeDecodeError:
        return read_value(bytes(raw).decode("utf-8", "replace").encode())


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _LONG_NUMBER else float(text)


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {str(_whole(key)): _whole(item) for key, item in value.items()}
    return value


# -- the slow reader ------------------------------------------------------------------------------------------


def _constant(word: str) -> NoReturn:
    raise ValueError(word)


# Numbers stay text: nothing of them is needed, and a very long one would be costly.
_VALUES: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_constant)
_SPACE: Final = " \t\r\n"


def _read_slowly(body: bytes, go_type: str) -> Members:
    text = body.decode("utf-8", "replace")
    try:
        pairs, end = _pairs(text, go_type)
    except RecursionError:
        refuse_depth()
    except (ValueError, IndexError):
        raise Refusal(Reason.bad_request, find_fault(body)) from None
    members: dict[str, msgspec.Raw] = {}
    is_plain = not text[end:].strip(_SPACE) and "\ufffd" not in text
    for name, value in pairs:
        folded = name.translate(_FOLDING)
        if folded not in KNOWN:
            members[name] = value
            continue
        is_plain &= folded == name and folded not in members
        _put(members, folded, value)
    return Members(members, body if is_plain else join_members(members))


def _put(members: dict[str, msgspec.Raw], name: str, value: msgspec.Raw) -> None:
    earlier = members.get(name)
    if earlier is None:
        members[name] = value
    elif bytes(value) == _NULL and name in _SCALARS:
        return
    elif name == "model" and bytes(memoryview(earlier)[:1]) not in {b'"', b"n"}:
        return  # the server refuses the first that is no text
    elif name == "options" and bytes(earlier).startswith(b"{") and bytes(value).startswith(b"{"):
        members[name] = msgspec.Raw(
            join_members(_DECODER.decode(bytes(earlier)) | _DECODER.decode(bytes(value)))
        )
    else:
        members[name] = value


def _pairs(text: str, go_type: str) -> tuple[list[tuple[str, msgspec.Raw]], int]:
    """The pairs of the first value in `text`, and where it ends. ValueError and IndexError say that it is broken."""
    start = _after_space(text, 0)
    if text[start] != "{":
        value, end = _VALUES.raw_decode(text, start)
        if value is None:
            return [], end
        kind = _kind(text[start])
        raise Refusal(Reason.bad_request, f"json: cannot unmarshal {kind} into Go value of type {go_type}")
    pairs: list[tuple[str, msgspec.Raw]] = []
    at = _after_space(text, start + 1)
    if text[at] == "}":
        return pairs, at + 1
    while True:
        if text[at] != '"':
            raise ValueError(at)
        name, at = _VALUES.raw_decode(text, at)
        at = _after_space(text, at)
        if text[at] != ":":
            raise ValueError(at)
        begin = _after_space(text, at + 1)
        _, at = _VALUES.raw_decode(text, begin)
        pairs.append((name, msgspec.Raw(text[begin:at].encode("utf-8", "replace"))))
        at = _after_space(text, at)
        if text[at] == "}":
            return pairs, at + 1
        if text[at] != ",":
            raise ValueError(at)
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _kind(first: str) -> str:
    return {"[": "array", '"': "string", "t": "bool", "f": "bool"}.get(first, "number")


def refuse_depth() -> NoReturn:
    """Raise the Refusal of a body that is nested more deeply than anything is read here."""
    raise Refusal(
        Reason.bad_request, "exceeded max depth", suggestion="Nest the request's values less deeply."
    ) from None
