"""The exact bodies that builders get: unset fields are left out, unfit ones are refused before sending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flasharb.execution.bundle import Bundle, UnfitBundle, cancel_body, send_bundle_body
from flasharb.execution.profiles import GENERIC, PROFILES, Profile, profile_for
from flasharb.units import Hash32
from tests.support.execution import RAW_TRANSACTIONS

BLOCK = 17_000_001
PLAIN = Bundle(RAW_TRANSACTIONS, BLOCK)
TXS = ["0x" + raw.hex() for raw in RAW_TRANSACTIONS]


def named(name: str) -> Profile:
    return next(profile for profile in PROFILES if profile.name == name)


def params(body: bytes | None) -> dict[str, Any]:
    assert body is not None
    [only] = json.loads(body)["params"]
    return only


@pytest.mark.parametrize("profile", [GENERIC, *PROFILES], ids=lambda profile: profile.name)
def test_plain_body_is_the_same_for_all(profile: Profile) -> None:
    """Transactions and a target block, to the byte; no zero, no null, no empty list."""
    body = send_bundle_body(PLAIN, profile, request_id=7)

    txs = '","'.join(TXS)
    expected = (
        '{"jsonrpc":"2.0","id":7,"method":"eth_sendBundle",'
        f'"params":[{{"txs":["{txs}"],"blockNumber":"{BLOCK:#x}"}}]}}'
    )
    assert body == expected.encode()


def test_set_fields_are_sent() -> None:
    """Each in the form that the relay documents."""
    bundle = Bundle(
        RAW_TRANSACTIONS,
        BLOCK,
        min_timestamp=1_704_067_200,
        max_timestamp=1_704_067_260,
        reverting_tx_hashes=(Hash32(b"\x11" * 32),),
        replacement_uuid="c0ffee00-1234-4abc-8def-0123456789ab",
        builders=("flashbots", "Titan"),
    )

    assert params(send_bundle_body(bundle, named("flashbots"))) == {
        "txs": TXS,
        "blockNumber": hex(BLOCK),
        "minTimestamp": 1_704_067_200,
        "maxTimestamp": 1_704_067_260,
        "revertingTxHashes": ["0x" + "11" * 32],
        "replacementUuid": "c0ffee00-1234-4abc-8def-0123456789ab",
        "builders": ["flashbots", "Titan"],
    }


@pytest.mark.parametrize(
    ("bundle", "profile", "word"),
    [
        (Bundle(RAW_TRANSACTIONS, BLOCK, builders=("x",)), "titan", "builders"),
        (Bundle(RAW_TRANSACTIONS, BLOCK, refund_percent=10), "flashbots", "refundPercent"),
        (Bundle(RAW_TRANSACTIONS, BLOCK, refund_percent=10), "rsync", "refundRecipient"),
        (Bundle(RAW_TRANSACTIONS, BLOCK, max_timestamp=0), "flashbots", "timestamp of 0"),
        (Bundle(RAW_TRANSACTIONS, BLOCK, min_timestamp=0), "titan", "timestamp of 0"),
        (Bundle(RAW_TRANSACTIONS, BLOCK, replacement_uuid="a"), "beaverbuild", "replacement id"),
    ],
)
def test_unfit_for_that_builder(bundle: Bundle, profile: str, word: str) -> None:
    """The message names the field."""
    with pytest.raises(UnfitBundle, match=word):
        send_bundle_body(bundle, named(profile))


def test_refund_with_its_recipient_suits_rsync() -> None:
    """Share and recipient together."""
    bundle = Bundle(RAW_TRANSACTIONS, BLOCK, refund_percent=10, refund_recipient=b"\x22" * 20)

    assert params(send_bundle_body(bundle, named("rsync")))["refundRecipient"] == "0x" + "22" * 20


def test_each_builders_way_to_withdraw() -> None:
    """A method of its own, an empty bundle with the same id, or none at all."""
    bundle = Bundle(RAW_TRANSACTIONS, BLOCK, replacement_uuid="a-b")

    flashbots = cancel_body(bundle, named("flashbots"))
    assert json.loads(flashbots or b"")["method"] == "eth_cancelBundle"
    assert params(flashbots) == {"replacementUuid": "a-b"}
    for name in ("titan", "buildernet"):
        empty = cancel_body(bundle, named(name))
        assert params(empty) == {"txs": [], "blockNumber": hex(BLOCK), "replacementUuid": "a-b"}
    assert params(send_bundle_body(bundle, named("rsync")))["uuid"] == "a-b"
    assert cancel_body(bundle, named("rsync")) is None
    assert cancel_body(bundle, GENERIC) is None
    assert cancel_body(PLAIN, named("titan")) is None


@pytest.mark.parametrize(
    ("transactions", "block"),
    [
        ((), BLOCK),
        (RAW_TRANSACTIONS[:1] * 101, BLOCK),
        ((b"\x02" + bytes(300_000),), BLOCK),
        ((b"",), BLOCK),
        ((b"\x03\xc0",), BLOCK),
        (RAW_TRANSACTIONS, 0),
    ],
)
def test_impossible_bundles(transactions: tuple[bytes, ...], block: int) -> None:
    """Empty, too many, too large, a blob transaction, a block that is no block."""
    with pytest.raises(UnfitBundle):
        Bundle(transactions, block)


def test_transactions_are_not_shown() -> None:
    """A bundle in a log line does not give its transactions away."""
    assert "transactions" not in repr(PLAIN)
    assert RAW_TRANSACTIONS[0].hex()[:30] not in repr(PLAIN)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://relay.flashbots.net", "flashbots"),
        ("https://RELAY.flashbots.net:443/path", "flashbots"),
        ("https://eu.rpc.titanbuilder.xyz/", "titan"),
        ("https://rpc.titanbuilder.xyz/", "titan"),
        ("https://direct-eu.buildernet.org", "buildernet"),
        ("http://127.0.0.1:8545/", "generic"),
        ("https://relay.flashbots.net.evil.example/", "generic"),
    ],
)
def test_profile_of_a_url(url: str, name: str) -> None:
    """By the whole host; whoever is not known gets the common subset."""
    assert profile_for(url).name == name
