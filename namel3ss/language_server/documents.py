"""One file as the editor has it, or as it lies on the disk: its text in pieces, and places in it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lsprotocol import types

from namel3ss.language import Diagnostic, Import, Span, decode_source
from namel3ss.language.pieces import Pieces, cut
from namel3ss.language_server.positions import Encoding, Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.language import Source
    from namel3ss.language.pieces import Piece

__all__ = ["Document", "open_document"]


@dataclass(frozen=True, eq=False)
class Document:
    """A snapshot: an edit gives another one, which shares the pieces that did not change.

    `path` is the real path, or the URI of what lies on no disk. `version` is the editor's; None for a file that it has
    not opened. `refusals` say why the file is no program; its text is then `unread`, for the edits that may mend it.
    """

    uri: str
    path: str
    version: int | None
    pieces: Pieces
    encoding: Encoding
    refusals: tuple[Diagnostic, ...] = field(default=(), repr=False)
    unread: str = field(default="", repr=False)

    @property
    def text(self) -> str:
        return self.pieces.whole.text

    @property
    def source(self) -> Source:
        """The whole text as a source; its places are the document's."""
        return self.pieces.whole

    @property
    def is_on_disk(self) -> bool:
        return self.path != self.uri

    @functools.cached_property
    def lines(self) -> Lines:
        return Lines(self.text, self.encoding)

    def range(self, span: Span) -> types.Range:
        return self.lines.range(span)

    def location(self, span: Span) -> types.Location:
        return types.Location(self.uri, self.lines.range(span))

    def offset(self, position: types.Position) -> int:
        return self.lines.offset(position)

    @functools.cached_property
    def imports(self) -> tuple[tuple[str, Span], ...]:
        """The paths that it imports, with their places."""
        return tuple(
            (item.path.value, piece.span(item.path.span))
            for piece in self.pieces.all
            for item in piece.result.tree.items
            if isinstance(item, Import) and item.path.span.start < item.path.span.end
        )

    def piece_at(self, offset: int) -> Piece:
        """The piece in which the cursor stands; behind the last character of a piece it still stands in it."""
        piece = self.pieces.at(offset)
        if offset == piece.start and offset > 0 and self.text[offset - 1] != "\n":
            return self.pieces.at(offset - 1)
        return piece

    def edited(
        self, version: int | None, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> Document:
        """The document after these changes of the editor, in their order."""
        text = self.unread if self.refusals else self.text
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                lines = self.lines if text is self.text else Lines(text, self.encoding)
                span = lines.span(change.range)
                text = text[: span.start] + change.text + text[span.end :]
            else:
                text = change.text
        return replace(
            open_document(self.uri, self.path, text, self.encoding, earlier=self.pieces), version=version
        )


def open_document(
    uri: str,
    path: str,
    text: str,
    encoding: Encoding,
    *,
    version: int | None = None,
    earlier: Pieces | None = None,
) -> Document:
    """The document of a text. What is no program (a drawing, binary data) is refused and has no pieces to speak of."""
    # An editor's text may hold half a character pair; what takes its place here is only looked at.
    _, refusals = decode_source(text.encode("utf-8", "replace"), path)
    if refusals:
        return Document(uri, path, version, cut("", path), encoding, refusals, unread=text)
    return Document(uri, path, version, cut(text, path, earlier), encoding)
