"""What a relay's answer means. Any status, headers and bytes give one of three values; nothing ever raises.

A relay's ``200 OK`` proves nothing: only ``result.bundleHash`` equal to the hash computed here is an acknowledgement
(and even that is not inclusion). The answers of the wild, all seen in public threads and sources: ``error`` as a plain
string, HTML from a proxy, ``id: null``, ``result: null``, a cut-off body, a byte-order mark, another bundle's hash.

- ``Acknowledged``: the relay has exactly this bundle.
- ``Refused``: the relay surely does not have it.
- ``Unknown``: it may have it; the bundle counts as sent until its nonce moves or its block passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from flasharb.safe_json import decode_json
from flasharb.units import Hash32

MAX_REPLY_BYTES: Final = 65_536
"""An honest answer to eth_sendBundle has a few hundred bytes."""

MAX_DETAIL: Final = 200
"""Characters of a relay's own words that are kept."""


class Refusal(StrEnum):
    """Why a relay does not have the bundle."""

    PERMANENT = "permanent"
    """The same body will be refused again."""
    SIGNATURE = "signature"
    """The identity or its signature is refused: a configuration error, the relay is not used further."""
    RATE_LIMITED = "rate_limited"
    REDIRECT = "redirect"
    """Redirects are not followed: the signature header would go to a stranger."""
    UNREACHABLE = "unreachable"
    """No byte of the request left this machine."""
    STOPPED = "stopped"
    """Not tried: this relay refused our identity before."""


class Doubt(StrEnum):
    """Why it is not known whether a relay has the bundle."""

    SERVER_ERROR = "server_error"
    NOT_JSON = "not_json"
    NOT_JSON_RPC = "not_json_rpc"
    NO_HASH = "no_hash"
    OTHER_HASH = "other_hash"
    WRONG_ID = "wrong_id"
    TOO_LARGE = "too_large"
    CONNECTION_LOST = "connection_lost"
    TIMED_OUT = "timed_out"


RETRIABLE: Final = frozenset({Doubt.SERVER_ERROR, Doubt.CONNECTION_LOST})
"""Doubts that the same bytes may clear up when sent once more (a bundle is known by its hash)."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The relay named our own bundle hash."""

    bundle_hash: Hash32


@dataclass(frozen=True, slots=True)
class Refused:
    """The relay does not have the bundle."""

    kind: Refusal
    detail: str
    code: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The relay may have the bundle."""

    kind: Doubt
    detail: str


Reply = Acknowledged | Refused | Unknown

_SIGNATURE_CODE: Final = -32025
_LIMIT_CODE: Final = -32005
_LONG_HEX: Final = re.compile(r"(0x)?[0-9a-fA-F]{65,}")
_SERVER_WORDS: Final = re.compile(
    r"internal (server )?error|disk full|status code: 5\d\d|timed? ?out|unavailable", re.IGNORECASE
)
_LIMIT_WORDS: Final = re.compile(r"rate.?limit|too many requests", re.IGNORECASE)


def classify(status: int, headers: Mapping[str, str], body: bytes, bundle_hash: Hash32, request_id: int) -> Reply:
    """The meaning of one HTTP answer to ``eth_sendBundle``. ``headers`` has lower-case names. Never raises."""
    if 300 <= status < 400:
        return Refused(Refusal.REDIRECT, f"HTTP {status} to {quoted(headers.get('location', 'nowhere'))}, not followed")
    if len(body) > MAX_REPLY_BYTES:
        return Unknown(Doubt.TOO_LARGE, f"HTTP {status} with more than {MAX_REPLY_BYTES} bytes")
    document = _json(body)
    error = document.get("error") if isinstance(document, dict) else None
    if status == 429:
        return Refused(Refusal.RATE_LIMITED, _words(error, status), _code(error), _retry_after(headers))
    if error is not None:
        return _refusal(status, headers, error)
    if status >= 500 or status == 408:
        return Unknown(Doubt.SERVER_ERROR, f"HTTP {status}: {quoted(body)}")
    if status >= 400:
        kind = Refusal.SIGNATURE if status == 401 else Refusal.PERMANENT
        return Refused(kind, f"HTTP {status}: {quoted(body)}")
    if not 200 <= status < 300:
        return Unknown(Doubt.NOT_JSON_RPC, f"HTTP {status}: {quoted(body)}")
    if document is _INVALID:
        return Unknown(Doubt.NOT_JSON, f"HTTP {status}: {quoted(body)}")
    if not isinstance(document, dict) or "result" not in document:
        return Unknown(Doubt.NOT_JSON_RPC, f"HTTP {status} without result or error: {quoted(body)}")
    return _result(document, bundle_hash, request_id)


def quoted(text: object) -> str:
    """A stranger's words, fit for a log line: short, printable, and without long hex (it could be our transaction)."""
    if isinstance(text, bytes):
        text = text[: 4 * MAX_DETAIL].decode("utf-8", "replace")
    words = text if isinstance(text, str) else repr(text)
    words = _LONG_HEX.sub(lambda match: match[0][:10] + "…", words[: 4 * MAX_DETAIL])
    words = "".join(char if char.isprintable() else " " for char in words)
    return (words if len(words) <= MAX_DETAIL else words[:MAX_DETAIL] + "…").strip() or "(empty)"


_INVALID: Final = object()


def _json(body: bytes) -> object:
    try:
        return decode_json(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return _INVALID


def _result(document: dict[object, object], bundle_hash: Hash32, request_id: int) -> Reply:
    answered = document.get("id")
    if answered is not None and (isinstance(answered, bool) or answered != request_id):
        return Unknown(Doubt.WRONG_ID, f"answers request {quoted(answered)}, not {request_id}")
    result = document["result"]
    named = result.get("bundleHash") if isinstance(result, dict) else None
    if not isinstance(named, str):
        return Unknown(Doubt.NO_HASH, f"result without bundleHash: {quoted(result)}")
    if named.lower() != "0x" + bundle_hash.hex():
        return Unknown(Doubt.OTHER_HASH, f"names bundle {quoted(named)}, ours is 0x{bundle_hash.hex()}")
    return Acknowledged(bundle_hash)


def _refusal(status: int, headers: Mapping[str, str], error: object) -> Reply:
    words, code = _words(error, status), _code(error)
    if code == _SIGNATURE_CODE or "signature" in words.lower() or status in {401, 403}:
        return Refused(Refusal.SIGNATURE, words, code)
    if code == _LIMIT_CODE or _LIMIT_WORDS.search(words):
        return Refused(Refusal.RATE_LIMITED, words, code, _retry_after(headers))
    if status >= 500 or status == 408 or _SERVER_WORDS.search(words):
        return Unknown(Doubt.SERVER_ERROR, words)
    return Refused(Refusal.PERMANENT, words, code)


def _words(error: object, status: int) -> str:
    message = error.get("message", error) if isinstance(error, dict) else error
    return f"HTTP {status}: {quoted(message if message is not None else '')}"


def _code(error: object) -> int | None:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``Retry-After``; its date form is not read (it would need this machine's clock to be right)."""
    text = headers.get("retry-after", "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
