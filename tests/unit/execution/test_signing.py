"""A key signs and never shows itself; what is no key is refused without being repeated."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest

from flasharb.execution.signing import CURVE_ORDER, BadKey, SigningKey, sign
from flasharb.execution.transaction import Signature, Transaction
from flasharb.units import checksum
from tests.support.execution import AUTH_KEY, SEARCHER_KEY

CANARY = "c0ffee" * 10 + "abcd"


def transfer(**changes: object) -> Transaction:
    fields: dict[str, object] = {
        "chain_id": 1,
        "nonce": 0,
        "max_priority_fee_per_gas": 1,
        "max_fee_per_gas": 2,
        "gas_limit": 21_000,
        "to": bytes(20),
        "value": 0,
        "data": b"",
    }
    return Transaction(**(fields | changes))


def test_address_of_a_published_key() -> None:
    """With and without 0x, in any case, with white space around."""
    for text in (SEARCHER_KEY, SEARCHER_KEY[2:], SEARCHER_KEY[2:].upper(), f"  {SEARCHER_KEY}\n"):
        assert checksum(SigningKey.from_hex(text).address) == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_signatures_repeat() -> None:
    """RFC 6979: the same digest gives the same signature."""
    key = SigningKey.from_hex(AUTH_KEY)

    assert key.sign_hash(bytes(32)) == key.sign_hash(bytes(32))
    assert isinstance(key.sign_hash(bytes(32)), Signature)


def test_nothing_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """Every usual way to look at an object, and a traceback that passes through it."""
    key = SigningKey.from_hex(CANARY)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").debug("%s %r", key, key)
    shown = [repr(key), str(key), f"{key}", f"{key!r:>80}", caplog.text, repr([key]), repr({"key": key})]
    shown += [repr(getattr(key, name, None)) for name in dir(key) if "__key" not in name]

    assert all(CANARY not in text and bytes.fromhex(CANARY).hex() not in text for text in shown)
    assert all(repr(bytes.fromhex(CANARY))[2:20] not in text for text in shown)
    assert not hasattr(key, "__dict__")


def test_keys_are_compared_by_their_address() -> None:
    """Never by the secret, which a failing assertion would print."""
    assert SigningKey.from_hex(AUTH_KEY) == SigningKey.from_hex(AUTH_KEY)
    assert len({SigningKey.from_hex(AUTH_KEY), SigningKey.from_hex(AUTH_KEY), SigningKey.from_hex(CANARY)}) == 2
    assert SigningKey.from_hex(AUTH_KEY) != AUTH_KEY


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_key_is_not_pickled(protocol: int) -> None:
    """It stays in its process, whatever protocol asks for it."""
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(SigningKey.from_hex(CANARY), protocol)


def test_copies_are_the_same_object() -> None:
    """dataclasses.asdict and replace copy deeply; a second key object would be one more to guard."""
    key = SigningKey.from_hex(CANARY)

    assert copy.copy(key) is key
    assert copy.deepcopy([key])[0] is key
    with pytest.raises(TypeError):
        key.__getstate__()


@pytest.mark.parametrize(
    "text",
    [
        *("", "0x", CANARY[:-1], CANARY + "0", "0x" + CANARY[:-2] + "zz", " ".join(CANARY), "00" * 32, "ff" * 32),
        *(f"{CURVE_ORDER:064x}", CANARY[:-2] + "  ", "\u0660" * 64),
    ],
)
def test_bad_keys_are_refused_without_an_echo(text: str) -> None:
    """Neither the message nor the local variables of any frame repeat what was given."""
    with pytest.raises(BadKey) as caught:
        SigningKey.from_hex(text)

    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)][1:]
    seen = str(caught.value) + repr([list(frame.f_locals.values()) for frame in frames])
    assert frames
    assert len(text) < 8 or text.strip() not in seen
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("secret", [b"", bytes(32), bytes(31), b"\x01" * 33, CURVE_ORDER.to_bytes(32, "big")])
def test_bad_secrets(secret: bytes) -> None:
    """Wrong length, zero, or not below the order."""
    with pytest.raises(BadKey):
        SigningKey(secret)


def test_the_largest_key_is_one() -> None:
    """Order minus one still signs."""
    assert len(SigningKey((CURVE_ORDER - 1).to_bytes(32, "big")).address) == 20


def test_raw_transaction_is_not_shown() -> None:
    """Before its block nobody may read it from a log."""
    signed = sign(transfer(), SigningKey.from_hex(AUTH_KEY))

    assert signed.raw.hex()[:40] not in repr(signed)
    assert "raw" not in repr(signed)


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 0},
        {"nonce": -1},
        {"nonce": 2**64 - 1},
        {"gas_limit": 20_999},
        {"gas_limit": 16_777_217},
        {"value": 2**256},
        {"value": -1},
        {"max_priority_fee_per_gas": 3},
        {"max_fee_per_gas": 2**256},
        {"to": bytes(19)},
        {"access_list": ((bytes(21), ()),)},
    ],
)
def test_impossible_transactions(changes: dict[str, object]) -> None:
    """What the protocol cannot hold is refused before it is signed."""
    with pytest.raises(ValueError, match=r"is not from|above|20 bytes"):
        transfer(**changes)
