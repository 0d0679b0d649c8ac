"""How well a check copes with one mistake: 200 files made from valid ones, each with one mistake planted.

    python -m tests.benchmarks.language.recovery

Prints three shares: the first error stands on the planted line (of a missing closer the opener's line counts as well, of a
cut file the last line and every opener left open); at most one further error; declarations without the mistake stay.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.declarations import check_text
from namel3ss.language import Declaration, ForeignDeclaration, Severity, parse
from namel3ss.language.tokens import Token, read_tokens
from tests.language.nodes import without_spans

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.language import Diagnostic

__all__ = ["Figures", "measure"]

ROOT = Path(__file__).resolve().parents[3]
SEED = 3
COUNT = 200
_OPENERS = {"LBRACE": "RBRACE", "LBRACKET": "RBRACKET", "LESS": "GREATER"}
_KEYS = ("KEY", "OPEN_KEY", "TIGHT_KEY")


class Mutant(NamedTuple):
    """A text with a mistake: the lines where it may be reported, and the part of the original that it spoils."""

    kind: str
    text: str
    lines: frozenset[int]
    spoilt: tuple[int, int]


class Figures(NamedTuple):
    """Shares from 0 to 1."""

    on_the_line: float
    few_errors: float
    healthy_stay: float


class _Original:
    def __init__(self, text: str) -> None:
        self.text = text
        self.source = parse(text).tree.source
        self.tokens = read_tokens(text).tokens
        tree = parse(text).tree
        self.declarations = list(tree.declarations())
        # Their inside is one token, and their first line has the opener that a cut leaves open.
        self.foreign = [item.span for item in tree.items if isinstance(item, ForeignDeclaration)]

    def line(self, offset: int) -> int:
        return self.source.position(offset).line

    def opener_of(self, closer: Token) -> Token | None:
        stack: list[Token] = []
        for token in self.tokens:
            if token.kind in (*_OPENERS, "LIST_OF"):
                stack.append(token)
            elif token.kind in _OPENERS.values():
                opener = stack.pop() if stack else None
                if token == closer:
                    return opener
        return None

    def opened_before(self, end: int) -> list[Token]:
        stack: list[Token] = []
        for token in self.tokens:
            if token.span.end > end:
                break
            if token.kind in (*_OPENERS, "LIST_OF"):
                stack.append(token)
            elif token.kind in _OPENERS.values() and stack:
                stack.pop()
        return stack


def measure() -> tuple[Figures, list[tuple[Mutant, list[Diagnostic]]]]:
    """The three figures, and the mutants whose first error stands elsewhere or is not nearly alone."""
    chance = random.Random(SEED)
    originals = [_Original(text) for text in _valid_texts()]
    makers = (_colon, _brace, _quote, _doubled_key, _swapped, _half_typed, _cut)
    on_the_line = few = healthy = expected = made = 0
    missed = []
    while made < COUNT:
        original = chance.choice(originals)
        mutant = makers[made % len(makers)](original, chance)
        if mutant is None or not (errors := _errors(mutant.text)):
            continue
        made += 1
        is_there = errors[0].source.position(errors[0].span.start).line in mutant.lines
        on_the_line += is_there
        few += len(errors) <= 2
        if not is_there or len(errors) > 2:
            missed.append((mutant, errors))
        left = [without_spans(item) for item in parse(mutant.text).tree.declarations()]
        for declaration in original.declarations:
            if not _overlap(declaration, mutant.spoilt):
                expected += 1
                healthy += without_spans(declaration) in left
    return Figures(on_the_line / COUNT, few / COUNT, healthy / expected), missed


def _overlap(declaration: Declaration, spoilt: tuple[int, int]) -> bool:
    return declaration.span.start <= spoilt[1] and spoilt[0] <= declaration.span.end


def _errors(text: str) -> list[Diagnostic]:
    return [found for found in check_text(text).diagnostics if found.severity is Severity.ERROR]


def _valid_texts() -> list[str]:
    paths = [*(ROOT / "grammar/corpus/valid").glob("*.ai"), *(ROOT / "examples").rglob("*.ai")]
    texts = [path.read_bytes().decode() for path in sorted(paths)]
    return [text for text in texts if len(read_tokens(text).tokens) > 8 and not _errors(text)]


# -- one mistake each -----------------------------------------------------------------------------------------------


def _without(original: _Original, kind: str, at: int, *more_lines: int) -> Mutant:
    text = original.text[:at] + original.text[at + 1 :]
    return Mutant(kind, text, frozenset({original.line(at), *more_lines}), (at, at))


def _one(original: _Original, chance: random.Random, is_wanted: Callable[[Token], bool]) -> Token | None:
    wanted = [token for token in original.tokens if is_wanted(token)]
    return chance.choice(wanted) if wanted else None


def _colon(original: _Original, chance: random.Random) -> Mutant | None:
    token = _one(original, chance, lambda token: token.kind in _KEYS)
    return None if token is None else _without(original, "colon", token.span.end - 1)


def _brace(original: _Original, chance: random.Random) -> Mutant | None:
    kinds = (*_OPENERS, *_OPENERS.values())
    token = _one(original, chance, lambda token: token.kind in kinds)
    if token is None:
        return None
    opener = original.opener_of(token)
    lines = () if opener is None else (original.line(opener.span.start),)
    return _without(original, "brace", token.span.start, *lines)


def _quote(original: _Original, chance: random.Random) -> Mutant | None:
    token = _one(original, chance, lambda token: token.kind == "STRING")
    if token is None:
        return None
    return _without(original, "quote", chance.choice([token.span.start, token.span.end - 1]))


def _doubled_key(original: _Original, chance: random.Random) -> Mutant | None:
    """The line of a pair a second time."""
    token = _one(original, chance, lambda token: token.kind == "KEY")
    if token is None:
        return None
    span = original.source.line_span(original.line(token.span.start))
    line = original.text[span.start : span.end]
    if (
        line.count("{") != line.count("}")
        or line.count("[") != line.count("]")
        or line.rstrip().endswith("|")
    ):
        return None
    text = f"{original.text[: span.end]}\n{line}{original.text[span.end :]}"
    number = original.line(span.start)
    return Mutant("doubled key", text, frozenset({number, number + 1}), span)


def _swapped(original: _Original, chance: random.Random) -> Mutant | None:
    """Two neighbouring words of one line in each other's place."""
    pairs = [
        (left, right)
        for left, right in zip(original.tokens, original.tokens[1:], strict=False)
        if {left.kind, right.kind} <= {"MODEL", "PART", "NAME", "WORD", "STRING", "NUMBER", *_KEYS}
        and original.line(left.span.start) == original.line(right.span.end)
    ]
    if not pairs:
        return None
    left, right = chance.choice(pairs)
    text = original.text
    swapped = (
        text[: left.span.start]
        + text[slice(*right.span)]
        + text[left.span.end : right.span.start]
        + text[slice(*left.span)]
        + text[right.span.end :]
    )
    return Mutant(
        "swapped", swapped, frozenset({original.line(left.span.start)}), (left.span.start, right.span.end)
    )


def _half_typed(original: _Original, chance: random.Random) -> Mutant | None:
    """A new declaration, typed half, in front of another one."""
    starts = [declaration.span.start for declaration in original.declarations]
    starts = [start for start in starts if original.source.position(start).column == 1]
    if not starts:
        return None
    start = chance.choice(starts)
    whole = "ai model half_typed {\n    provider: ollama\n    model: tiny\n    config: {"
    half = whole[: chance.randrange(3, len(whole))].rstrip()
    first = original.line(start)
    lines = frozenset(range(first, first + half.count("\n") + 1))
    return Mutant("half typed", f"{original.text[:start]}{half}\n\n{original.text[start:]}", lines, (-1, -1))


def _cut(original: _Original, chance: random.Random) -> Mutant | None:
    """Cut behind some tenth byte; the last line that has anything on it counts, and every opener left open."""
    end = chance.randrange(10, len(original.text), 10) if len(original.text) > 10 else 0
    text = original.text[:end]
    lines = {original.line(token.span.start) for token in original.opened_before(end)}
    lines |= {original.line(span.start) for span in original.foreign if span.start < end < span.end}
    return Mutant(
        "cut", text, frozenset({*lines, original.line(len(text.rstrip()))}), (end, len(original.text))
    )


def main() -> None:
    figures, missed = measure()
    for mutant, errors in missed:
        places = [f"{found.source.position(found.span.start).line} {found.code}" for found in errors]
        print(f"{mutant.kind}: planted on {sorted(mutant.lines)}, reported {', '.join(places)}")
    print(f"first error on the planted line      {figures.on_the_line:6.1%}  (wanted: 95 %)")
    print(f"at most one further error            {figures.few_errors:6.1%}  (wanted: 95 %)")
    print(f"declarations without mistakes stay   {figures.healthy_stay:6.1%}  (wanted: 99 %)")


if __name__ == "__main__":
    main()
