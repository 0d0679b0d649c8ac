"""The floor: passes requests on with aiohttp under the gateway's uvicorn, and does nothing else.

``python passthrough.py UPSTREAM_PORT PORT``
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import uvicorn

_UPSTREAM = f"http://127.0.0.1:{sys.argv[1]}" if len(sys.argv) > 1 else ""
_session: aiohttp.ClientSession | None = None


async def application(scope: Any, receive: Any, send: Any) -> None:
    global _session
    if scope["type"] != "http":
        return
    if _session is None:
        _session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    async with _session.request(
        scope["method"], _UPSTREAM + scope["path"], data=body, headers=headers
    ) as answer:
        kept = [
            (name.lower().encode(), value.encode())
            for name, value in answer.headers.items()
            if name.lower() in ("content-type", "content-length")
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        async for piece in answer.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
