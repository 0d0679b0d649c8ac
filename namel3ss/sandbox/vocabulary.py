"""Tokens: the small vocabularies of the tiny models, and pieces of ordinary size for every other model."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["BLANK", "PieceTokenizer", "TinyVocabulary", "Tokenizer"]

BLANK = "▁"
"""How a blank is written inside a token."""

_BASE = ("<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")


class Tokenizer(Protocol):
    """Text to token ids and back; the mark for the beginning of a text is not among them."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...

    def pieces(self, text: str) -> list[str]:
        """The text cut as a model would write it, one piece a token."""
        ...


class TinyVocabulary:
    """A vocabulary of whole words, single characters and bytes.

    Words are only ever *written* as one token: reading joins neighbouring characters step by step, and the steps
    between two characters and a long word are not in the vocabulary. So text becomes pairs that are words (`Hi`),
    else characters, else bytes; after every special token a blank is put before the text.
    """

    def __init__(self, words: Iterable[str], special: Sequence[str] = ()) -> None:
        self.special = (*_BASE, *special)
        tokens = [*self.special, *(f"<0x{byte:02X}>" for byte in range(256))]
        singles = [*(chr(code) for code in range(33, 127)), BLANK]
        known = set(tokens)
        tokens += [word for word in dict.fromkeys([*words, *singles]) if word not in known]
        self.tokens = tuple(tokens)
        self.index = {token: number for number, token in enumerate(tokens)}
        self._first_byte = len(self.special)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        return re.compile("(" + "|".join(re.escape(token) for token in self.special) + ")")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = self.tokens[self._first_byte + 256 :]
        pairs = [word for word in words if len(word) == 2 and all(half in self.index for half in word)]
        return re.compile("|".join([*map(re.escape, pairs), "."]), re.DOTALL)

    def encode(self, text: str) -> list[int]:
        found: list[int] = []
        for part in self._special_pattern.split(text):
            if part in self.special:
                found.append(self.index[part])
            elif part:
                for piece in self._pattern.findall(BLANK + part.replace(" ", BLANK)):
                    found += self._piece(piece)
        return found

    def _piece(self, piece: str) -> list[int]:
        known = self.index.get(piece)
        if known is not None:
            return [known]
        return [self._first_byte + byte for byte in piece.encode("utf-8", "replace")]

    def decode(self, tokens: Sequence[int]) -> str:
        out = bytearray()
        for number in tokens:
            byte = number - self._first_byte
            if 0 <= byte < 256:
                out.append(byte)
            elif 0 <= number < len(self.tokens):
                out += self.tokens[number].replace(BLANK, " ").encode()
        return out.decode("utf-8", "replace")

    def pieces(self, text: str) -> list[str]:
        return [piece.replace(BLANK, " ") for piece in self._pattern.findall(text.replace(" ", BLANK))]


_PIECE = re.compile(
    r"<\|[a-z_]{1,24}\|>|</?[a-z_]{1,16}>|[ ]?[^\W\d_]{1,5}|[ ]?\d{1,3}|[ ]?[^\w\s]{1,2}|\n+|\s+?(?=\S|$)|\s+|.",
    re.DOTALL,
)


class PieceTokenizer:
    """Cuts text into pieces of a few characters, about as many as a usual tokenizer makes.

    The numbers stand for nothing but themselves: they are derived from the pieces, and text is only given back for
    pieces that were seen before.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def encode(self, text: str) -> list[int]:
        return [self._number(piece) for piece in _PIECE.findall(text)]

    def _number(self, piece: str) -> int:
        number = self._numbers.get(piece)
        if number is None:
            number = len(self._texts)
            if number >= _MOST_PIECES:
                return number
            self._numbers[piece] = number
            self._texts.append(piece)
        return number

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(self._texts[number] for number in tokens if 0 <= number < len(self._texts))

    def pieces(self, text: str) -> list[str]:
        found: list[str] = _PIECE.findall(text)
        return found


_MOST_PIECES = 200_000
"""What a long-lived server remembers at most."""
