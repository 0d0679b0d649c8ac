"""The security checklist of the gateway and of the programs behind it, by number.

A test that proves a row carries ``@pytest.mark.security(row)``; `test_security_rows.py` fails when a row has none, and
``python -m tests.proof_tables`` writes the rows, their tests and the results into docs/security.md.
"""

from __future__ import annotations

__all__ = ["GROUPS", "ROWS"]

GROUPS: dict[str, dict[int, str]] = {
    "Rights and routes": {
        1: "an unknown route or method is refused; the table is the only source",
        2: "rights are decided on the path that is then served, however it is written",
        3: "one decision on models for every route and every spelling of a name",
        4: "nothing inside can be switched from query, body or header",
        5: "a caller cannot choose the server",
        6: "a disabled server, key or user ends at once",
    },
    "Keys and passwords": {
        7: "keys are random, checkable, shown once and stored as a hash",
        8: "passwords are hashed slowly, their attempts are limited, and errors tell nothing",
        9: "secrets are compared in constant time",
        10: "what is remembered of keys is known by their whole hash, for a short time, within bounds",
        11: "values reach the database as parameters only",
        12: "no signed token of anybody's is taken for a key",
        13: "keys have scopes, limits, addresses and an end, and can be renewed and revoked",
    },
    "Where requests come from": {
        14: "the caller's address is the peer's, or what trusted proxies say",
        15: "lists of addresses hold what they say, and count before key and body",
        16: "no word in a list stands for everybody",
        17: "only hosts that are listed are served, also on this machine",
        18: "other origins hear nothing unless they are listed",
    },
    "HTTP": {
        19: "no two readers can see two requests in one; what goes on is framed anew",
        20: "headers of the connection and of identity go no further",
        21: "a server's credentials never reach another host",
        22: "errors of servers lose addresses, paths and keys",
        23: "headers of answers are made anew",
    },
    "Privacy and logs": {
        24: "prompts and answers are in no log, no metric and no database",
        25: "secrets are masked wherever they could be shown",
        26: "nothing that a caller sends can forge a line of a log",
    },
    "Limits and fairness": {
        27: "each limit holds one below, at and one above it",
        28: "budgets are reserved before and settled after, also for callers who leave",
        29: "nobody gives itself a priority, and nobody starves",
        30: "one user cannot use up what the others need",
    },
    "Administration": {
        31: "administration has its own address and no first password",
        32: "no other site can make a signed-in browser change anything",
        33: "whatever callers wrote is shown as text, under a strict policy",
        34: "sessions begin fresh, and end with logout and with time",
        35: "acts of administrators are in a log that only grows, without secrets",
    },
    "Pulling": {
        36: "names to pull are plain, allowed and of the default registry",
        37: "no address of a caller's choice is ever asked",
    },
    "Programs and templates": {
        38: "templates cannot reach Python, nor run without end",
        39: "what a template has filled in is never read as a template again",
        40: "reading a program runs nothing, and ends within bounds",
        41: "secrets come from the environment, and are never written out",
        42: "checking a program has no side effects",
    },
    "Processes, files, operation": {
        43: "a server is started by an exact path, with no more of the environment than it needs",
        44: "a server that was started listens on this machine alone",
        45: "files are the owner's only, written whole, and not through links",
        46: "TLS is verified, modern and, once on, announced",
        47: "openings that are rarely meant are refused or warned of",
        48: "what is shipped is what is in the repository",
    },
}

ROWS: dict[int, str] = {row: what for rows in GROUPS.values() for row, what in rows.items()}
"""Every row is proven by a test."""
