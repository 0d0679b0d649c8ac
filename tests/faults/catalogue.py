"""The faults of servers, networks and programs that a client has to live with, by number.

A test that proves a row carries ``@pytest.mark.fault(row)``; `test_catalogue.py` fails when a row has none, and
``python -m tests.proof_tables`` writes the rows, their tests and the results into docs/reliability.md.
"""

from __future__ import annotations

__all__ = ["GROUPS", "ROWS"]

GROUPS: dict[str, dict[int, str]] = {
    "Getting a connection": {
        1: "refused, and nothing is to be started",
        2: "refused, and a server is to be started",
        3: "the started server ends at once, or its port is taken",
        4: "packets are swallowed",
        5: "the host name is unknown",
        6: "resolving the name is slow",
        7: "localhost is two addresses, and the server listens on one",
        8: "a proxy is set in the environment",
        9: "TLS: unknown certificate, plain text, silence in the handshake",
        10: "a redirect",
        11: "every way to write an address",
        12: "another service answers there",
        13: "no file descriptors are left",
        14: "a kept-alive connection was closed meanwhile",
    },
    "Before and instead of an answer": {
        15: "closed or reset before the headers",
        16: "429 with every kind of Retry-After",
        17: "500, 502, 503, 504 with any body",
        18: "503: the server's queue is full",
        19: "404: the model is not there",
        20: "400: a bad option, a long prompt, a missing capability",
        21: "401, 403",
        22: "200 with JSON that is not as it should be",
        23: "a wrong Content-Length",
        24: "an encoding that was not asked for",
        25: "huge headers, many interim answers, trailers",
    },
    "Streaming": {
        26: "silence before the first piece",
        27: "silence between pieces",
        28: "single bytes keep the connection busy",
        29: "reset or closed mid-stream",
        30: "the last line is cut",
        31: "a clean end without the last line",
        32: "an error line mid-stream",
        33: "an error line first",
        34: "a second end, and lines after the end",
        35: "any division into packets and chunks",
        36: "invalid UTF-8",
        37: "characters that break line splitters",
        38: "a line above the limit",
        39: "lines without content, counts that make no sense",
        40: "thinking only, tool calls only, nothing at all; every reason to stop",
        41: "tool calls that are no JSON",
        42: "a consumer slower than the server",
        43: "a consumer that leaves, raises, or forgets the stream",
        44: "a cancellation at every point",
        45: "a second cancellation during the clean-up of the first",
        46: "a thousand cancellations while connecting",
        47: "a stream closed by another task, or used in another loop",
    },
    "Clients of the gateway": {
        48: "a client leaves while its request waits",
        49: "a client leaves before the first token",
        50: "a client leaves mid-stream: closes, closes half, resets",
        51: "a client leaves a request that is not streamed",
        52: "headers or a body that come too slowly",
        53: "huge prompts, deep JSON, many messages, giant images",
        54: "invalid JSON, wrong types, two lengths, broken chunks",
        55: "a thousand clients at once, half of which vanish",
        56: "the same request id twice",
        57: "a connection used again, or too early, around an answer that broke off",
    },
    "The life of a server": {
        58: "killed mid-stream, then started again",
        59: "frozen: the connection lives, nothing comes",
        60: "its health goes up and down",
        61: "the model's runner crashes, the server lives",
        62: "the model is deleted between check and use",
        63: "the model is exchanged under its name",
        64: "loading a model takes long",
        65: "out of memory",
        66: "a server or a gateway dies while it holds a slot",
        67: "servers with different models, versions and sizes",
    },
    "Pulling": {
        68: "interrupted, resumed, shared, left by one of several callers",
        69: "registry down, unknown model, corrupt layer, stall, no success at the end",
        70: "the disk is full",
    },
    "Processes, clocks, loops": {
        71: "SIGTERM, SIGINT, and a server that ignores them",
        72: "the clock jumps",
        73: "the database is locked, read-only, full, slow or gone",
        74: "fork, a second loop, threads, garbage collection, the end of the interpreter",
    },
    "Seen on real servers": {
        75: "the model's slot is lost: the server is well, and the model silent for ever",
        76: "200, and the stream ends without an end and without an error",
        77: "an error mid-stream that Ollama loses on the way to another protocol",
        78: "a killed server leaves its runner behind",
    },
}

ROWS: dict[int, str] = {row: what for rows in GROUPS.values() for row, what in rows.items()}
"""Every row of the catalogue is proven by a test."""
