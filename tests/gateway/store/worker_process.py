"""A process on a store, for tests that start several or kill one: ``python -m … WHAT FOLDER``. It says what it has done."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from namel3ss.gateway.store import Books, KeyAdministration, KeyGrant, Store
from tests.gateway.store.events import event
from tests.gateway.store.places import DATABASE


def say(**values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def make_first_key(folder: str) -> None:
    async with await Store.open(DATABASE, folder, timeout_s=30.0) as store:
        await KeyAdministration(store).make_first_key(lambda made: print(made.token, flush=True))


async def load(folder: str) -> None:
    """Make keys and record usage until killed; a key is told once it is stored."""
    async with (
        await Store.open(DATABASE, folder, timeout_s=30.0) as store,
        Books(store, streams_per_user=8) as books,
    ):
        administration = KeyAdministration(store)
        await administration.users.create("alice", actor="load")
        recorded = 0
        while True:
            made = await administration.keys.create("alice", KeyGrant(), actor="load")
            say(key=made.token)
            for _ in range(50):
                books.record(event(at=time.time(), model=f"model{recorded % 7}"))
                recorded += 1
            say(recorded=recorded, at=time.monotonic())
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    what, folder = sys.argv[1:]
    asyncio.run({"first-key": make_first_key, "load": load}[what](folder))
