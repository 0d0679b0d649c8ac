"""What a restart must not lose: users, keys, sessions, the whitelist, servers, usage and the audit log, in one database."""

from __future__ import annotations

from namel3ss.gateway.store.administration import KeyAdministration
from namel3ss.gateway.store.audit import Audit
from namel3ss.gateway.store.books import Books, Reservation
from namel3ss.gateway.store.classes import Classes
from namel3ss.gateway.store.errors import StoreError
from namel3ss.gateway.store.first_key import hand_over
from namel3ss.gateway.store.keyring import Keyring
from namel3ss.gateway.store.records import (
    AuditEntry,
    Key,
    KeyGrant,
    NewKey,
    StoredServer,
    Transcript,
    User,
    WhitelistEntry,
)
from namel3ss.gateway.store.sessions import NewSession, Sessions
from namel3ss.gateway.store.store import Store
from namel3ss.gateway.store.tallies import Dimension, UsageRow
from namel3ss.gateway.store.transcripts import Transcripts, TranscriptWriter

__all__ = [
    "Audit",
    "AuditEntry",
    "Books",
    "Classes",
    "Dimension",
    "Key",
    "KeyAdministration",
    "KeyGrant",
    "Keyring",
    "NewKey",
    "NewSession",
    "Reservation",
    "Sessions",
    "Store",
    "StoreError",
    "StoredServer",
    "Transcript",
    "TranscriptWriter",
    "Transcripts",
    "UsageRow",
    "User",
    "WhitelistEntry",
    "hand_over",
]
