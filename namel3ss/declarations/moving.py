"""The fixes that move a key of one line into the block where it belongs, or take it out. Pure text editing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.language import Block, Fix, Span, TextEdit

if TYPE_CHECKING:
    from namel3ss.declarations.places import Location
    from namel3ss.language import Pair, Source

__all__ = ["moved", "taken_out"]

_STEP: Final = "    "
_BLANKS: Final = " \t"


def moved(key: Location, home: Block, target: str) -> Fix | None:
    """Move the pair whose key stands at `key` into the block `target` of the declaration `home`; "" is the declaration.

    None where that cannot be done by cutting out one line and putting it in elsewhere: for values over several lines,
    blocks that are not closed, and where the key is there already.
    """
    source = key.source
    found = _find(home, key.span)
    if found is None or home.close is None:
        return None
    block, pair = found
    text = source.text[slice(*pair.span)]
    inside = home.get(target) if target else None
    goal = inside.value if inside is not None else home
    if "\n" in text or not isinstance(goal, Block) or goal.close is None:
        return None
    title = f"Move it to {target or 'the ai model'}"
    if target and inside is None:
        wrapped = f"{target}: {{ {text} }}"
        if block is home:
            return Fix(title, (TextEdit(pair.span, wrapped),))
        text = wrapped
    elif goal.get(pair.key.text) is not None:
        return None
    comment = _own_comment(pair, source)
    if comment and not _has_lines(goal, source):
        return None
    return Fix(title, (_cut(pair, block, source, comment), _put(text + comment, goal, source)))


def taken_out(pair: Pair, block: Block, source: Source) -> Fix | None:
    """Take a pair out of its block; None for values over several lines and where a comment belongs to it."""
    if "\n" in source.text[slice(*pair.span)] or _own_comment(pair, source) or block.close is None:
        return None
    return Fix("Take it out", (_cut(pair, block, source, ""),))


def _own_comment(pair: Pair, source: Source) -> str:
    """The comment behind a pair that has its line to itself, with the blanks before it."""
    line = source.line_span(source.position(pair.span.start).line)
    rest = source.text[pair.span.end : line.end]
    is_alone = not source.text[line.start : pair.span.start].strip()
    return rest if is_alone and rest.lstrip(_BLANKS).startswith("#") else ""


def _has_lines(block: Block, source: Source) -> bool:
    """Whether the closer of a block stands on a line of its own."""
    assert block.close is not None
    line = source.line_span(source.position(block.close.start).line)
    return block.open.end <= line.start and not source.text[line.start : block.close.start].strip()


def _find(home: Block, key: Span) -> tuple[Block, Pair] | None:
    """The pair with this key, and the block it stands in: the declaration's or one right inside it."""
    blocks = [home, *(pair.value for pair in home.pairs() if isinstance(pair.value, Block))]
    return next(((block, pair) for block in blocks for pair in block.pairs() if pair.key.span == key), None)


def _cut(pair: Pair, block: Block, source: Source, comment: str) -> TextEdit:
    """Without the pair and its own comment, and without its line where that holds nothing else."""
    text, start, end = source.text, pair.span.start, pair.span.end + len(comment)
    line = source.line_span(source.position(start).line)
    after = _skip(text, end, _BLANKS)
    if text[after : after + 1] == ",":
        after = _skip(text, after + 1, _BLANKS)
    if not text[line.start : start].strip() and after == line.end:
        return TextEdit(Span(line.start, _line_end(text, line.end)), "")
    is_last = block.close is not None and after >= block.close.start
    if is_last or after == line.end or text[after : after + 1] == "#":
        before = len(text[:start].rstrip(_BLANKS))
        if is_last and text[before - 1 : before] == ",":
            before -= 1
        keeps_blank = before > block.open.end and after < line.end
        return TextEdit(Span(before, after), " " if keeps_blank or before == block.open.end else "")
    return TextEdit(Span(start, after), "")


def _put(pair: str, goal: Block, source: Source) -> TextEdit:
    """The pair as the last one of a block: on a line of its own where the block has lines of its own."""
    assert goal.close is not None
    text, close = source.text, goal.close.start
    entries = goal.entries
    if _has_lines(goal, source):
        line = source.line_span(source.position(close).line)
        indent = text[line.start : close]
        if entries:
            first = source.line_span(source.position(entries[0].span.start).line)
            lead = text[first.start : entries[0].span.start]
            inner = lead if not lead.strip() else indent + _STEP
        else:
            inner = indent + _STEP
        return TextEdit(Span(line.start, line.start), f"{inner}{pair}\n")
    if not entries:
        return TextEdit(Span(goal.open.end, close), f" {pair} ")
    end = entries[-1].span.end
    return TextEdit(Span(end, end), f", {pair}")


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _line_end(text: str, at: int) -> int:
    """Behind the line end at `at`."""
    if text.startswith("\r\n", at):
        return at + 2
    return at + 1 if text.startswith("\n", at) else at
