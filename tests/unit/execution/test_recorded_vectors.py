"""What three real clients put on the wire is what we compute: headers from body bytes, hashes from transactions."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from eth_hash.auto import keccak

from flasharb.execution.bundle import bundle_hash, signature_header
from flasharb.execution.fees import base_fee_bound, next_base_fee
from flasharb.execution.signing import SigningKey
from tests.conftest import SHARED
from tests.support.execution import AUTH_KEY, RAW_TRANSACTIONS

VECTORS = SHARED / "spec" / "mev_vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason=f"no recorded vectors at {VECTORS}")


def read(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


@needs_vectors
def test_all_22_recorded_headers() -> None:
    """The header of every recorded request follows from its body bytes."""
    recorded = read("x_flashbots_signature.json")
    identity = SigningKey.from_hex(recorded["keys"]["auth_key"])

    headers = [signature_header(one["body"].encode(), identity) for one in recorded["vectors"]]

    assert len(headers) == 22
    assert headers == [one["x_flashbots_signature"] for one in recorded["vectors"]]


@needs_vectors
def test_recorded_bundle_hashes() -> None:
    """One, two (both orders) and four transactions of types 0, 1 and 2, and the hash of no transaction."""
    recorded = read("bundle_hash.json")
    raws = [bytes.fromhex(one["raw"][2:]) for one in recorded["txs"]]

    assert ["0x" + keccak(raw).hex() for raw in raws] == [one["hash"] for one in recorded["txs"]]
    for case in recorded["eth_sendBundle"]:
        assert "0x" + bundle_hash(raws[index] for index in case["txs"]).hex() == case["bundleHash"]
    assert "0x" + bundle_hash(()).hex() == recorded["empty_bundle"]["bundleHash"]


@needs_vectors
def test_recorded_header_of_another_server_library() -> None:
    """The Go library's own test vector: body ``Hello``."""
    vector = read("bundle_hash.json")["go_utils_signature_test"]

    header = signature_header(vector["body"].encode(), SigningKey.from_hex(vector["key"]))

    assert header == vector["expected_header"]


@needs_vectors
def test_recorded_base_fees() -> None:
    """Every EIP-1559 case, among them those where a well-known client forgets the least step of 1 wei."""
    cases = read("base_fee.json")["cases"]

    for case in cases:
        header = SimpleNamespace(base_fee_per_gas=case["baseFee"], gas_used=case["gasUsed"], gas_limit=case["gasLimit"])
        assert next_base_fee(header) == case["eip1559"]
    assert any(not case["equal"] for case in cases)


@needs_vectors
def test_bound_of_coming_base_fees_is_tight() -> None:
    """Our bound is at most the other client's (which adds 1 at every step) and at least the exact full-block path."""
    for case, theirs in read("base_fee.json")[
        "maxBaseFeeInFutureBlock(ethers-provider-bundle, b*1125//1000+1)"
    ].items():
        fee, blocks = map(int, case.split("/"))
        exact = fee
        for _ in range(blocks):
            exact = next_base_fee(SimpleNamespace(base_fee_per_gas=exact, gas_used=30_000_000, gas_limit=30_000_000))
        assert exact == base_fee_bound(fee, blocks) <= int(theirs)


def test_header_of_a_small_body() -> None:
    """The example that stands in our own documents; needs nothing but this repository."""
    body = b'{"jsonrpc":"2.0","method":"eth_sendBundle","params":[],"id":1}'

    assert signature_header(body, SigningKey.from_hex(AUTH_KEY)) == (
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8:0x7ef016c322ac3d0b5cede66974f8186df6e9b019b206822d2b922eabf2dac87c"
        "2e400debd8f0c595f178569a575103fa2a8459185b52b5c62fb4dcc3334eacfa1b"
    )


def test_bundle_hash_of_one_and_two() -> None:
    """A single transaction is hashed again; order matters."""
    first, second = RAW_TRANSACTIONS

    assert bundle_hash([first]).hex() == "bd3fbe5b525e63787c1bed1ba20d9b42301cc40b3e8e4cf35bb204352c846fe2"
    assert bundle_hash([first, second]).hex() == "330d006062c47b4409fec88870b9ce44f53519f70cbc4529f8c41cc81647e203"
    assert bundle_hash([second, first]).hex() == "387ebe88082cac1d2c6039030ed9eb9c40017ebd4b9291d03da5688ddcb8a0ed"
