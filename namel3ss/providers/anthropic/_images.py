"""Images for Anthropic's API: bytes, paths, base64 text, data URIs and addresses on the web, as blocks of a message.

Everything is checked here, before anything is sent; images named by path are read later, off the event loop.
"""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from namel3ss.errors import UsageError
from namel3ss.providers.conversation import read_image, to_image

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["image_block", "image_from_url", "load_images"]

_WEB: Final = ("https://", "http://")
_LONGEST_MAGIC: Final = 16
_KINDS: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")


def image_block(image: object, place: str) -> dict[str, Any]:
    """The block of an image. One named by its path holds the path for now (see `load_images`)."""
    if isinstance(image, str) and image.startswith(_WEB):
        return _block({"type": "url", "url": image})
    found = to_image(image, place)
    return _block(found) if isinstance(found, Path) else _block_of(found, place)


def image_from_url(url: str, place: str) -> dict[str, Any]:
    """The block of an image that a URL names, never a path. The web's are fetched by the API, not from here."""
    if url.startswith((*_WEB, "data:")):
        return image_block(url, place)
    raise UsageError(
        f"{place}: {url[:60]!r} is neither a data URI nor an address on the web.",
        suggestion="Write data:image/png;base64,… or https://…",
    )


async def load_images(messages: Iterable[dict[str, Any]]) -> None:
    """Replace the paths among the images by what the files hold. Raises UsageError for a file that cannot be read."""
    for message in messages:
        content = message["content"]
        for block in content if isinstance(content, list) else ():
            for image in (block, *_nested(block)):
                if isinstance(image, dict) and isinstance(path := image.get("source"), Path):
                    image |= _block_of(await asyncio.to_thread(read_image, path), str(path))


def _nested(block: object) -> list[object]:
    """What stands inside the result of a tool."""
    content = block.get("content") if isinstance(block, dict) else None
    return content if isinstance(content, list) else []


def _block(source: object) -> dict[str, Any]:
    return {"type": "image", "source": source}


def _block_of(data: bytes, place: str) -> dict[str, Any]:
    kind = _kind_of(data[:_LONGEST_MAGIC])
    if kind is None:
        raise UsageError(
            f"{place}: the image is none of {', '.join(each.partition('/')[2] for each in _KINDS)}.",
            suggestion="Convert it; Anthropic's API reads no other kinds.",
        )
    return _block({"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode("ascii")})


def _kind_of(beginning: bytes) -> str | None:
    """The media type, told by the first bytes: a name or a declared type may be wrong, and the API checks."""
    if beginning.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if beginning.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if beginning.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if beginning.startswith(b"RIFF") and beginning[8:12] == b"WEBP":
        return "image/webp"
    return None
