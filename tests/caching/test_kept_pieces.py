"""The pieces of an answer that are still wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from namel3ss.caching.kept_pieces import KeptPieces


class CountingList(list[bytes]):
    """A list that counts the items which it moves."""

    moved = 0

    def __delitem__(self, key: object) -> None:
        assert isinstance(key, slice)
        self.moved += len(self) - key.stop
        super().__delitem__(key)


@given(st.lists(st.booleans(), max_size=200))
def test_pieces_keep_their_places_whatever_is_dropped_before_them(steps: list[bool]) -> None:
    kept = KeptPieces()
    added: list[bytes] = []
    dropped = 0

    for is_added in steps:
        if is_added or dropped == len(added):
            added.append(b"%d" % len(added))
            kept.add(added[-1])
        else:
            assert kept.drop_first() == added[dropped]
            dropped += 1

    assert (kept.dropped, kept.end) == (dropped, len(added))
    assert kept.kept() == tuple(added[dropped:])
    assert [kept.at(place) for place in range(dropped, len(added))] == added[dropped:]


def test_dropping_one_for_each_that_comes_moves_each_piece_about_once() -> None:
    kept = KeptPieces()
    slots = kept._slots = CountingList()
    for _ in range(1000):
        kept.add(b"piece")

    for _ in range(20_000):
        kept.add(b"piece")
        kept.drop_first()

    assert len(kept.kept()) == 1000
    assert slots.moved <= 20_000
