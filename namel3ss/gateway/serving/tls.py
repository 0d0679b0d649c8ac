"""TLS for the main address, where no proxy in front does it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_certificate"]


def load_certificate(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and newer. Raises UsageError naming the file that cannot be used."""
    for path in (certificate, key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(
                f"The key in {key} does not belong to the certificate in {certificate}."
            ) from None
        raise UsageError(
            f"{certificate} and {key} are not a certificate and its key in PEM form.",
            suggestion="The certificate's file holds its whole chain, the key's file a key without a password.",
        ) from None
    return context


def _no_password() -> str:
    """Asked for where the key has one; without this, OpenSSL would ask the terminal."""
    return ""
