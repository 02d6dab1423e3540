"""Node logs word by word; tests/service holds them against a real node and real pools."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode as abi_encode

from flasharb.feed.events import PoolLog, V2Sync, V3Burn, V3Initialize, V3Mint, V3Swap
from flasharb.feed.logs import (
    PANCAKE_V3_SWAP,
    V2_SYNC,
    V3_BURN,
    V3_INITIALIZE,
    V3_MINT,
    V3_SWAP,
    MalformedLog,
    event_of,
)
from flasharb.units import Address

POOL = Address(b"\xab" * 20)
WHO = "0x" + "00" * 12 + "cd" * 20


def log(topics: list[str], types: list[str], values: list[Any]) -> dict[str, Any]:
    data = "0x" + abi_encode(types, values).hex()
    address = "0x" + POOL.hex()
    return {"address": address, "topics": topics, "data": data, "blockNumber": "0x64", "logIndex": "0x7"}


def tick(value: int) -> str:
    return "0x" + (value % 2**256).to_bytes(32, "big").hex()


def test_topics_are_the_known_ones() -> None:
    assert V2_SYNC == "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
    assert V3_INITIALIZE == "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"
    assert V3_SWAP == "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
    assert PANCAKE_V3_SWAP == "0x19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83"
    assert V3_MINT == "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
    assert V3_BURN == "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"


def test_every_event() -> None:
    assert event_of(log([V2_SYNC], ["uint112", "uint112"], [5, 2**112 - 1])) == V2Sync(POOL, 5, 2**112 - 1, 100, 7)
    initialized = log([V3_INITIALIZE], ["uint160", "int24"], [2**159, -887_272])
    assert event_of(initialized) == V3Initialize(POOL, 2**159, -887_272, 100, 7)
    words = ["int256", "int256", "uint160", "uint128", "int24"]
    swapped = log([V3_SWAP, WHO, WHO], words, [-5, 6, 2**150, 2**127, -3])
    assert event_of(swapped) == V3Swap(POOL, 2**150, -3, 2**127, 100, 7)
    pancake = log([PANCAKE_V3_SWAP, WHO, WHO], [*words, "uint128", "uint128"], [5, -6, 2**96, 9, 4, 1, 2])
    assert event_of(pancake) == V3Swap(POOL, 2**96, 4, 9, 100, 7)
    minted = log(
        [V3_MINT, WHO, tick(-60), tick(120)], ["address", "uint128", "uint256", "uint256"], ["0x" + "11" * 20, 77, 1, 2]
    )
    assert event_of(minted) == V3Mint(POOL, -60, 120, 77, 100, 7)
    burned = log([V3_BURN, WHO, tick(-60), tick(120)], ["uint128", "uint256", "uint256"], [77, 1, 2])
    assert event_of(burned) == V3Burn(POOL, -60, 120, 77, 100, 7)


@pytest.mark.parametrize(
    "other",
    [
        {"topics": []},
        {"topics": ["0x" + "12" * 32]},
        {"topics": [V2_SYNC, WHO]},
        {"data": "0x" + "00" * 32},
        {"data": "0x"},
    ],
)
def test_logs_of_other_contracts_are_none(other: dict[str, Any]) -> None:
    assert event_of({**log([V2_SYNC], ["uint112", "uint112"], [5, 6]), **other}) is None


@pytest.mark.parametrize(
    "spoiled",
    [
        {"blockNumber": None},
        {"logIndex": "seven"},
        {"data": "0x" + "zz" * 64},
        {"address": 5},
        {"topics": None, "data": None},
    ],
)
def test_malformed_logs_are_said_to_be(spoiled: dict[str, Any]) -> None:
    base = log([V2_SYNC], ["uint112", "uint112"], [5, 6])
    if spoiled.get("topics", 0) is None:
        del base["topics"]
    else:
        base |= spoiled
    with pytest.raises(MalformedLog):
        event_of(base)


def test_logs_of_other_protocols_are_handed_on_as_they_stand() -> None:
    """Only those whose topic is asked for; within a singleton the pool is named by a topic."""
    topic = bytes(range(32))
    key = b"\xab" * 32
    raw = log(["0x" + topic.hex(), "0x" + key.hex()], ["uint256"], [7])
    assert event_of(raw) is None
    assert event_of(raw, {topic: 0}) == PoolLog(POOL, (topic, key), (7).to_bytes(32, "big"), 100, 7)
    assert event_of(raw, {topic: 1}) == PoolLog(Address(key[:20]), (topic, key), (7).to_bytes(32, "big"), 100, 7, POOL)
    assert event_of(raw, {topic: 2}) is None
    with pytest.raises(MalformedLog):
        event_of({**raw, "data": "0xzz"}, {topic: 0})
