"""What `namel3ss top` shows: the queue and the servers of a gateway, as text. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from namel3ss.cli.tables import render_table

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sight", "Speed", "render_sight"]

_SERVER_COLUMNS: Final = ("SERVER", "STATE", "VERSION")
_REQUEST_COLUMNS: Final = (
    "PLACE",
    "ID",
    "USER",
    "CLASS",
    "MODEL",
    "SERVER",
    "WAITED",
    "STILL",
    "RUNNING",
    "PIECES",
)
# Where a terminal is narrow, texts are cut to no less than this, and then whole columns are left out, in this order.
_LEAST: Final = {"ID": 8, "USER": 11, "CLASS": 12, "MODEL": 15, "SERVER": 9}
_LEFT_OUT: Final = ("PIECES", "ID", "SERVER", "CLASS", "STILL")
_GAP: Final = 2
_STATES: Final = {"streaming": "runs"}
# Head, headings, empty lines and the line of what is hidden.
_OTHER_LINES: Final = 7


@dataclass(frozen=True, slots=True)
class Sight:
    """What a gateway said at one moment (`at`, in seconds): its `/api/status` and its `/requests`."""

    at: float
    status: dict[str, Any]
    listing: dict[str, Any]

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [each for each in self.listing.get("requests", ()) if isinstance(each, dict)]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {"status": self.status, "requests": self.requests, "total": self.listing.get("total", 0)}


@dataclass(slots=True)
class Speed:
    """Pieces of answers a second, from one sight to the next: about one token each."""

    _at: float | None = None
    _pieces: dict[str, int] = field(default_factory=dict)

    def of(self, sight: Sight) -> float | None:
        """The speed since the sight before; None for the first."""
        pieces = {str(each.get("id")): int(each.get("pieces") or 0) for each in sight.requests}
        came = sum(max(0, count - self._pieces.get(name, 0)) for name, count in pieces.items())
        passed = None if self._at is None else sight.at - self._at
        self._at, self._pieces = sight.at, pieces
        return came / passed if passed else None


def render_sight(
    sight: Sight, url: str, speed: float | None, *, width: int, height: int | None = None, color: bool = False
) -> str:
    """The whole picture. With a `height`, the requests furthest back are left out and counted."""
    rows = [_row(each) for each in sight.requests]
    servers = [
        (str(each.get("name")), str(each.get("status")), str(each.get("version") or ""))
        for each in sight.status.get("servers", ())
    ]
    parts = [_head(sight, url, speed) + "\n"]
    parts.append(render_table(_SERVER_COLUMNS, servers, width=width, color=color))
    if not rows:
        return "\n".join([*parts, "Nobody waits and nothing runs.\n"])
    room = len(rows) if height is None else max(1, height - len(servers) - _OTHER_LINES)
    columns, shown = _fitted(_REQUEST_COLUMNS, rows[:room], width)
    parts.append(render_table(columns, shown, width=width, color=color))
    hidden = int(sight.listing.get("total", len(rows))) - min(room, len(rows))
    if hidden > 0:
        parts.append(f"and {hidden} more\n")
    return "\n".join(parts)


def _head(sight: Sight, url: str, speed: float | None) -> str:
    figures = sight.status.get("queue_stats", {})
    words = [
        url,
        f"{figures.get('queue_size', 0)} waiting",
        f"{figures.get('active_requests', 0)} running",
    ]
    if speed is not None:
        words.append(f"{speed:.0f} pieces/s")
    return "   ".join(words)


def _row(request: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_cells(request))


def _cells(request: dict[str, Any]) -> Iterator[str]:
    position = request.get("position")
    # People count from one: first is who is next.
    yield (
        _place(position, request.get("position_at_most"))
        if position is not None
        else _STATES.get(state := str(request.get("state")), state)
    )
    for name in ("id", "user", "source", "model", "server"):
        yield str(request.get(name) or "")
    for name in ("wait_time", "eta", "running_time"):
        yield _duration(request.get(name))
    yield str(request.get("pieces", ""))


def _place(first: int, last: int | None) -> str:
    return str(first + 1) if last is None else f"{first + 1}-{last + 1}"


def _fitted(
    columns: tuple[str, ...], rows: list[tuple[str, ...]], width: int
) -> tuple[list[str], list[list[str]]]:
    """The table within a width: with texts cut, and without the columns that matter least."""
    needed = {name: max(map(len, (name, *cells))) for name, *cells in zip(columns, *rows, strict=True)}
    least = {name: min(wide, _LEAST.get(name, wide)) for name, wide in needed.items()}
    for name in _LEFT_OUT:
        if _total(least) > width:
            del least[name]
    given, spare = dict(least), width - _total(least)
    while spare > 0 and (short := [name for name in given if given[name] < needed[name]]):
        for name in short[:spare]:
            given[name] += 1
        spare -= len(short[:spare])
    places = [columns.index(name) for name in given]
    return list(given), [[_cut(row[place], given[columns[place]]) for place in places] for row in rows]


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "\N{HORIZONTAL ELLIPSIS}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"
