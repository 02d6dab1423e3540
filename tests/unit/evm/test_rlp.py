"""Our RLP against the reference library: the same bytes, the same items, the same refusals."""

from __future__ import annotations

import pytest
import rlp as reference
from hypothesis import given
from hypothesis import strategies as st

from flasharb.evm.rlp import MalformedRlp, decode, decode_list, encode, encode_bytes

items = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=12)


@given(items)
def test_items_survive(item: object) -> None:
    """Encoded as the library does, and decoded to what they were."""
    encoded = encode(item)  # type: ignore[arg-type]  # hypothesis cannot name the recursive type
    assert encoded == reference.encode(item)
    assert decode(encoded) == item


@given(st.binary(max_size=80) | st.tuples(items, st.integers(0, 200), st.integers(0, 255)).map(lambda t: _flipped(*t)))
def test_what_the_library_refuses_is_refused(data: bytes) -> None:
    """And what it takes is the same item: for random bytes, and for encodings with one byte changed."""
    try:
        expected = reference.decode(data, strict=True)
    except reference.DecodingError:
        with pytest.raises(MalformedRlp):
            decode(data)
    else:
        assert decode(data) == expected


def _flipped(item: object, at: int, value: int) -> bytes:
    data = bytearray(reference.encode(item))
    data[at % len(data)] = value
    return bytes(data)


@pytest.mark.parametrize("length", [0, 1, 55, 56, 255, 256, 65_535, 65_536])
def test_length_borders(length: int) -> None:
    """Where the prefix grows."""
    for item in (bytes(length), [bytes(length)], [b"\x01"] * length):
        assert encode(item) == reference.encode(item)
        assert decode(encode(item)) == item


@given(st.lists(items, min_size=1, max_size=8))
def test_fields_begin_where_they_are_told_to(fields: list[object]) -> None:
    """The bytes from one to the next are its encoding."""
    data = encode(fields)  # type: ignore[arg-type]  # as above
    got, begins = decode_list(data)
    assert got == fields
    ends = [*begins[1:], len(data)]
    assert [data[start:end] for start, end in zip(begins, ends, strict=True)] == [reference.encode(f) for f in fields]


def test_what_is_no_list() -> None:
    """A byte string, nothing, and a list with something behind it."""
    for data in (b"", b"\x80", encode_bytes(b"abc"), b"\xc0\x00"):
        with pytest.raises(MalformedRlp):
            decode_list(data)


def test_deep_lists_are_refused() -> None:
    """Twenty thousand lists in each other do not reach the limit of the interpreter's stack."""
    nested: object = b""
    for _ in range(16):
        nested = [nested]
    assert decode(encode(nested)) == nested  # type: ignore[arg-type]  # as above
    payload = b""
    for _ in range(20_000):
        size = len(payload).to_bytes(2, "big").lstrip(b"\0")
        payload = (bytes([0xF7 + len(size)]) + size if len(payload) > 55 else bytes([0xC0 + len(payload)])) + payload
    with pytest.raises(MalformedRlp, match="deep"):
        decode(payload)
