"""Configuration values as they may be shown: a key or an access token never appears, whatever field it was put into."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_KEY_LIKE: Final = re.compile(r"(?<![0-9a-fA-F])(?:0x)?[0-9a-fA-F]{64}(?![0-9a-fA-F])")
# Providers put the access token into the path (…/v3/<token>): long, and of mixed letters and digits.
_TOKEN_LIKE: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_\-]{16,}")
HIDDEN: Final = "***"


def looks_like_key(text: str) -> bool:
    """True when the text holds 32 bytes of hex, as a private key is written."""
    return _KEY_LIKE.search(text) is not None


def shown(value: object) -> str:
    """The value as TOML-like text with keys, passwords and access tokens replaced by ``***``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + shown_text(value) + '"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{…}"
    return repr(value)


def shown_text(text: str) -> str:
    """A string with keys, passwords and access tokens replaced by ``***``; control characters escaped."""
    if "://" in text:
        text = _shown_url(text)
    text = _KEY_LIKE.sub(HIDDEN, text)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _shown_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url.partition("://")[0] + "://" + HIDDEN
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    netloc = (f"{HIDDEN}@" if "@" in parts.netloc else "") + host + (f":{port}" if port is not None else "")
    path = "/".join(HIDDEN if _TOKEN_LIKE.fullmatch(segment) else segment for segment in parts.path.split("/"))
    return urlunsplit((parts.scheme, netloc, path, HIDDEN if parts.query else "", HIDDEN if parts.fragment else ""))
