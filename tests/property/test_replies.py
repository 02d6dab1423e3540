"""Whatever a relay answers is one of three values, and only our own hash is an acknowledgement."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from flasharb.execution.replies import MAX_DETAIL, MAX_REPLY_BYTES, Acknowledged, Refused, Unknown, classify
from flasharb.units import Hash32

HASH = Hash32(bytes(range(32)))
OURS = "0x" + HASH.hex()

names = st.sampled_from(["jsonrpc", "id", "result", "error", "code", "message", "bundleHash"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(OURS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | names, inner, max_size=5),
    max_leaves=12,
)
replies = st.dictionaries(names, json_values, max_size=6)
statuses = st.integers(0, 999) | st.sampled_from([200, 400, 403, 429, 500, 502])
headers = st.dictionaries(
    st.sampled_from(["retry-after", "location", "content-type", "content-encoding"]), st.text(max_size=30), max_size=4
)


def judge(status: int, header: dict[str, str], body: bytes) -> None:
    reply = classify(status, header, body, HASH, 1)

    assert isinstance(reply, Acknowledged | Refused | Unknown)
    if isinstance(reply, Acknowledged):
        assert OURS.encode() in body.lower()
        assert 200 <= status < 300
        assert json.loads(body.removeprefix(b"\xef\xbb\xbf"))["result"]["bundleHash"].lower() == OURS
    else:
        assert len(reply.detail) <= MAX_DETAIL + 120
        assert reply.detail.isprintable()


@given(statuses, headers, st.binary(max_size=400))
@example(200, {}, b"\xff\xfe\x00")
@example(200, {}, b"[" * 60_000)
@example(200, {}, b'{"error":' * 7_000)
@example(200, {}, b'{"id":1' + b"0" * 6_000 + b"}")
@example(200, {}, b'{"result":{"bundleHash":1e999}}')
@example(429, {"retry-after": "\u0669" * 5}, b"")
@example(429, {"retry-after": "9" * 400}, b"")
@example(200, {}, b'{"error":{"code":"x","message":{"a":["\\ud800"]}}}')
@example(200, {}, b" " * (MAX_REPLY_BYTES + 1))
def test_any_bytes(status: int, header: dict[str, str], body: bytes) -> None:
    """No status, header or body makes it raise."""
    judge(status, header, body)


@given(statuses, headers, replies, st.booleans())
@example(200, {}, {"result": {"bundleHash": OURS}, "error": None, "id": 1}, True)
@example(200, {}, {"result": {"bundleHash": OURS}, "error": "no", "id": 1}, False)
@example(500, {}, {"result": {"bundleHash": OURS}, "id": 1}, False)
@example(200, {}, {"result": {"bundleHash": OURS.upper()}, "id": True}, False)
def test_any_json(status: int, header: dict[str, str], document: dict[str, object], mark: bool) -> None:
    """Objects made of the words that replies use, in any shape, with or without a byte-order mark."""
    judge(status, header, (b"\xef\xbb\xbf" if mark else b"") + json.dumps(document).encode())


@given(st.integers(0, 120), st.integers(0, 255), st.sampled_from([200, 400, 500]))
def test_damaged_acknowledgement(place: int, byte: int, status: int) -> None:
    """One byte of a good answer exchanged, or everything after it cut off."""
    body = bytearray(json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"bundleHash": OURS}}).encode())
    judge(status, {}, bytes(body[:place]))
    body[place % len(body)] = byte
    judge(status, {}, bytes(body))
