"""Keys and sessions as text: `n3k_ID_SECRET`, `n3s_ID_SECRET`.

SECRET is 256 random bits in 43 letters and digits and a checksum in six more, so that a key with a typing mistake is
told apart from one that nobody knows. ID is the public part: what lists, logs and the audit call the key.
Only the SHA-256 of the whole text is ever stored; against 256 random bits a slow hash would win nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final

__all__ = ["KEY_PREFIX", "SESSION_PREFIX", "Token", "digest_of", "has_checksum", "make_token", "public_id"]

KEY_PREFIX: Final = "n3k"
SESSION_PREFIX: Final = "n3s"

_LETTERS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6
_LENGTH: Final = 3 + 1 + _ID_LENGTH + 1 + _SECRET_LENGTH + _CHECKSUM_LENGTH


@dataclass(frozen=True, slots=True)
class Token:
    """A new key or session. `text` is the secret itself, shown once and never in a repr."""

    id: str
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        return digest_of(self.text)


def make_token(prefix: str) -> Token:
    """A token that nobody had before and nobody can guess."""
    token_id = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
    body = f"{prefix}_{token_id}_{_spell(secrets.randbits(256), _SECRET_LENGTH)}"
    text = body + _checksum(body)
    return Token(token_id, text)


def digest_of(token: str) -> bytes:
    """What the store knows a token by: the hash of the whole text. Half characters of a broken header count as others do."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def has_checksum(token: str) -> bool:
    """Whether this is a token as it was given out, as far as its own letters can tell."""
    if len(token) != _LENGTH or not token.isascii():
        return False
    return _checksum(token[:-_CHECKSUM_LENGTH]) == token[-_CHECKSUM_LENGTH:]


def public_id(token: str) -> str:
    """The public part of a token that has its checksum."""
    return token[4 : 4 + _ID_LENGTH]


def _checksum(body: str) -> str:
    return _spell(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _spell(number: int, length: int) -> str:
    """A number in letters and digits, filled up to a length that holds it."""
    letters = []
    for _ in range(length):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(reversed(letters))
