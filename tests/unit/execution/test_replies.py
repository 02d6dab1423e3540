"""Each known shape of a relay's answer and what it means."""

from __future__ import annotations

import json

import pytest

from flasharb.execution.replies import Acknowledged, Doubt, Refusal, Refused, Unknown, classify, quoted
from flasharb.units import Hash32

HASH = Hash32(b"\xab" * 32)
OURS = "0x" + "ab" * 32


def of(status: int, document: object, **headers: str) -> object:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return classify(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, HASH, 1)


@pytest.mark.parametrize(
    "document",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {"bundleHash": OURS}},
        {"jsonrpc": "2.0", "id": 1, "result": {"bundleHash": OURS.upper().replace("X", "x"), "smart": "true"}},
        {"id": None, "result": {"bundleHash": OURS}, "error": None},
        {"result": {"bundleHash": OURS}},
        b"\xef\xbb\xbf" + json.dumps({"id": 1, "result": {"bundleHash": OURS}}).encode(),
    ],
)
def test_acknowledgements(document: object) -> None:
    """Our own hash in result.bundleHash, whatever stands around it."""
    assert of(200, document) == Acknowledged(HASH)


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (400, {"error": "unable to decode txs"}, Refusal.PERMANENT),
        (200, {"error": {"code": -32000, "message": "unable to decode bundle"}}, Refusal.PERMANENT),
        (200, {"error": {"code": -32601, "message": "method not found"}}, Refusal.PERMANENT),
        (404, {"error": {"code": -32601, "message": "method not found"}}, Refusal.PERMANENT),
        (400, {"error": {"code": -32700, "message": "parse error"}}, Refusal.PERMANENT),
        (405, b"method not allowed", Refusal.PERMANENT),
        (415, b"Invalid Content-Type", Refusal.PERMANENT),
        (403, b"<html>blocked</html>", Refusal.PERMANENT),
        (403, {"error": "error in signature check 0x12"}, Refusal.SIGNATURE),
        (200, {"error": {"code": -32600, "message": "signature is required"}, "id": None}, Refusal.SIGNATURE),
        (200, {"error": {"code": -32600, "message": "no signature provided"}}, Refusal.SIGNATURE),
        (200, {"error": {"code": -32025, "message": "invalid"}}, Refusal.SIGNATURE),
        (400, {"error": {"code": -32603, "message": "Invalid signature"}}, Refusal.SIGNATURE),
        (429, b"", Refusal.RATE_LIMITED),
        (429, {"error": {"code": -32603, "message": "Rate limited"}}, Refusal.RATE_LIMITED),
        (200, {"error": {"code": -32005, "message": "limit exceeded"}}, Refusal.RATE_LIMITED),
        (200, {"error": "Too Many Requests"}, Refusal.RATE_LIMITED),
        (302, b"", Refusal.REDIRECT),
    ],
)
def test_refusals(status: int, document: object, kind: Refusal) -> None:
    """The relay surely does not have it, and why."""
    reply = of(status, document)

    assert isinstance(reply, Refused)
    assert reply.kind is kind


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (200, {"jsonrpc": "2.0", "id": 1, "result": None}, Doubt.NO_HASH),
        (200, {"id": 1, "result": OURS}, Doubt.NO_HASH),
        (200, {"id": 1, "result": {"bundleHash": 7}}, Doubt.NO_HASH),
        (200, {"id": 1, "result": {"bundleHash": "0x" + "cd" * 32}}, Doubt.OTHER_HASH),
        (200, {"id": 1, "result": {"bundleHash": OURS[2:]}}, Doubt.OTHER_HASH),
        (200, {"id": 2, "result": {"bundleHash": OURS}}, Doubt.WRONG_ID),
        (200, {"id": True, "result": {"bundleHash": OURS}}, Doubt.WRONG_ID),
        (200, {"id": "1", "result": {"bundleHash": OURS}}, Doubt.WRONG_ID),
        (200, {"jsonrpc": "2.0", "id": 1}, Doubt.NOT_JSON_RPC),
        (200, [{"id": 1, "result": {"bundleHash": OURS}}], Doubt.NOT_JSON_RPC),
        (204, b"", Doubt.NOT_JSON),
        (200, b"OK", Doubt.NOT_JSON),
        (100, b"", Doubt.NOT_JSON_RPC),
        (502, b"<html>Bad Gateway</html>", Doubt.SERVER_ERROR),
        (500, {"error": {"code": -32603, "message": "Disk full"}}, Doubt.SERVER_ERROR),
        (200, {"error": {"code": -32000, "message": "internal server error"}}, Doubt.SERVER_ERROR),
        (200, {"error": {"code": -32000, "message": "rpc call eth_x() ... status code: 502"}}, Doubt.SERVER_ERROR),
        (503, {"id": 1, "result": {"bundleHash": OURS}}, Doubt.SERVER_ERROR),
        (408, b"", Doubt.SERVER_ERROR),
    ],
)
def test_doubts(status: int, document: object, kind: Doubt) -> None:
    """The relay may have it: it counts as sent."""
    reply = of(status, document)

    assert isinstance(reply, Unknown)
    assert reply.kind is kind


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), (" 7 ", 7.0), ("7.5", None), ("-1", None), ("soon", None), ("9" * 10, None)]
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Whole seconds are read, everything else is not guessed."""
    reply = of(429, b"", retry_after=text)

    assert isinstance(reply, Refused)
    assert reply.retry_after_s == seconds


def test_a_relays_words_are_made_harmless() -> None:
    """No escape sequence reaches a terminal, no echoed transaction a log, and nothing long."""
    said = quoted("\x1b[31mbad\n tx 0x02" + "f8" * 100 + " " + "x" * 1000)

    assert said.isprintable()
    assert "f8" * 10 not in said
    assert len(said) <= 201
    assert quoted("") == "(empty)"
