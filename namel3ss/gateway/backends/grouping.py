"""What the queue counts a model by: names that one runner answers for count as one.

A server keeps one runner for each model file, and models made from one file share it with all its slots: `llama3:8b`
and a `coder` created from it are two names for one place. So they have one key, which is one of their names. The key stays
the same as long as the names belong together, whatever digest they have: requests may be waiting under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Holder", "group_models"]


class Holder(Protocol):
    """A server, as far as it matters here."""

    def offers(self, name: str) -> bool: ...

    def runner_of(self, name: str) -> str | None:
        """What stands for the runner of a model that it offers; None where that is not known."""


def group_models(names: Sequence[str], holders: Sequence[Holder]) -> dict[str, str]:
    """Each model (in the form in which spellings are compared) with its key, the first name of those it belongs to.

    Names are put together only as long as some server offers all of them: a key is offered where every name of it is.
    """
    first = {model_key(name): name for name in reversed(names)}
    order = sorted(first, key=[model_key(name) for name in names].index)
    groups = {key: [key] for key in order}
    for holder in holders:
        by_runner: dict[str, str] = {}
        for key in order:
            runner = holder.runner_of(key)
            if runner is None:
                continue
            one, two = groups[by_runner.setdefault(runner, key)], groups[key]
            if one is not two and any(all(map(other.offers, [*one, *two])) for other in holders):
                one.extend(two)
                groups.update(dict.fromkeys(two, one))
    return {key: first[min(group, key=order.index)] for key, group in groups.items()}
