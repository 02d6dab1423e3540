"""The bundle relay takes what our client sends, byte for byte, and refuses everything that a real relay refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from eth_hash.auto import keccak

from flasharb.devnet.chain import Chain
from flasharb.devnet.example import arbitrage, search_at_head
from flasharb.devnet.layout import CONTRACTS
from flasharb.devnet.relay import BundleRelay, Reply
from flasharb.devnet.rpc import EvmThread
from flasharb.devnet.traders import Traders
from flasharb.devnet.transactions import decode
from flasharb.devnet.world import World
from flasharb.execution.bundle import Bundle, bundle_hash, cancel_body, send_bundle_body, signature_header
from flasharb.execution.profiles import GENERIC, profile_for
from flasharb.execution.replies import Acknowledged, Refusal, Refused, classify
from flasharb.execution.signing import SigningKey
from flasharb.settings import Settings
from flasharb.units import Hash32, hex0x
from tests.support.devnet import GWEI, mine, swap_data, transfer

IDENTITY = SigningKey(b"\x11" * 32)
STRANGER = SigningKey(b"\x22" * 32)
UUID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


def relay(chain: Chain) -> BundleRelay:
    return BundleRelay(chain, EvmThread())


async def post(chain: Chain, body: bytes, key: SigningKey = IDENTITY, **headers: str) -> Reply:
    sent = {"content-type": "application/json", "x-flashbots-signature": signature_header(body, key)} | headers
    return await relay(chain).handle("POST", sent, body)


def request(method: str, *params: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})


def answer(reply: Reply) -> Any:
    assert (reply.status, reply.content_type) == (200, "application/json")
    return msgspec.json.decode(reply.body)


async def test_our_client_s_bundle_is_acknowledged_by_our_client_s_rules_and_lands(chain: Chain) -> None:
    bundle = Bundle((transfer(chain),), target_block=1)
    body = send_bundle_body(bundle, GENERIC)
    reply = await post(chain, body)

    assert classify(reply.status, {"content-type": reply.content_type}, reply.body, bundle.hash, 1) == Acknowledged(
        bundle.hash
    )
    assert [t.raw for t in chain.mine(0).block.transactions] == list(bundle.transactions)
    assert chain.bundle_outcomes[bundle.hash] == "included in block 1"


async def test_the_signature_must_fit_the_exact_bytes(chain: Chain) -> None:
    body = send_bundle_body(Bundle((transfer(chain),), target_block=1), GENERIC)
    good = signature_header(body, IDENTITY)
    address, _, signature = good.partition(":")
    wrong = {
        "": "missing separator",
        signature: "missing separator",
        f"{address}:{signature[2:]}": "not 65 bytes of hex with 0x",
        f"{address}:{signature[:-2]}": "not 65 bytes of hex with 0x",
        f"{address}:{signature[:-2]}1d": "invalid recovery id",
        f"0x{'77' * 20}:{signature}": "signing address mismatch",
        signature_header(body + b" ", IDENTITY): "signing address mismatch",
    }
    for header, words in wrong.items():
        reply = await post(chain, body, **{"x-flashbots-signature": header})
        error = answer(reply)["error"]

        assert error["code"] == -32600
        assert words in error["message"]
        verdict = classify(200, {"content-type": "application/json"}, reply.body, Hash32(b""), 1)
        assert isinstance(verdict, Refused)
        assert verdict.kind is Refusal.SIGNATURE
    missing = await relay(chain).handle("POST", {"content-type": "application/json"}, body)
    assert answer(missing)["error"]["message"] == "signature is required"
    assert chain.bundles.aimed_at(1) == ()


async def test_recovery_ids_0_and_1_are_taken_too(chain: Chain) -> None:
    body = send_bundle_body(Bundle((transfer(chain),), target_block=1), GENERIC)
    good = signature_header(body, IDENTITY)
    low = f"{good[:-2]}{int(good[-2:], 16) - 27:02x}"

    assert "result" in answer(await post(chain, body, **{"x-flashbots-signature": low.lower()}))


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [("GET", "application/json", 405), ("POST", "application/json; charset=utf-8", 415), ("POST", "text/plain", 415)],
)
async def test_only_plain_json_posts(chain: Chain, method: str, content_type: str, status: int) -> None:
    assert (await relay(chain).handle(method, {"content-type": content_type}, b"{}")).status == status


async def test_bodies_that_are_no_request(chain: Chain) -> None:
    for body, code in ((b"{", -32700), (b"[]", -32700), (b'{"id":1}', -32700), (request("eth_nothing"), -32601)):
        assert answer(await post(chain, body))["error"]["code"] == code
    for params in ([], [1], [{}, {}]):
        assert answer(await post(chain, request("eth_sendBundle", *params)))["error"]["code"] == -32602


async def test_bundles_that_cannot_land_are_refused(chain: Chain) -> None:
    good = hex0x(transfer(chain))
    foreign = hex0x(transfer(chain, chain_id=1))
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"txs": [], "blockNumber": "0x1"}, -32000, "bundle missing txs"),
        ({"txs": [good] * 101, "blockNumber": "0x1"}, -32000, "too many transactions"),
        ({"txs": ["0x1234"], "blockNumber": "0x1"}, -32000, "unable to decode bundle"),
        ({"txs": [foreign], "blockNumber": "0x1"}, -32000, "invalid chain id"),
        ({"txs": [good], "blockNumber": "0x0"}, -32000, "blockNumber 0 is not among the next 25 (head is 0)"),
        ({"txs": [good], "blockNumber": "0x1a"}, -32000, "blockNumber 26 is not among"),
        ({"txs": [good], "blockNumber": 1}, -32602, "expected a 0x quantity"),
        ({"txs": [good]}, -32602, "missing field 'blockNumber'"),
        ({"blockNumber": "0x1"}, -32602, "missing field 'txs'"),
        ({"txs": [good], "blockNumber": "0x1", "minTimestamp": "0x5"}, -32602, "minTimestamp is not a number"),
        ({"txs": [good], "blockNumber": "0x1", "replacementUuid": "x"}, -32602, "badly formed"),
        ({"txs": [good], "blockNumber": "0x1", "maxBlock": "0x5"}, -32602, "unknown fields: maxBlock"),
        ({"txs": [good], "blockNumber": "0x1", "revertingTxHashes": ["0x12"]}, -32602, "expected 32 bytes"),
    ]
    for fields, code, words in refused:
        error = answer(await post(chain, request("eth_sendBundle", fields)))["error"]

        assert error["code"] == code
        assert words in error["message"]
    assert chain.bundles.aimed_at(1) == ()


async def test_a_uuid_replaces_and_cancels_only_its_own_sender_s_bundle(chain: Chain) -> None:
    profile = profile_for("https://relay.flashbots.net")
    first = Bundle((transfer(chain, value=1),), 1, replacement_uuid=UUID)
    second = Bundle((transfer(chain, value=2),), 1, replacement_uuid=UUID)
    await post(chain, send_bundle_body(first, profile))
    await post(chain, send_bundle_body(first, profile), STRANGER)
    await post(chain, send_bundle_body(second, profile))

    assert {(b.signer, b.hash) for b in chain.bundles.aimed_at(1)} == {
        (STRANGER.address, first.hash),
        (IDENTITY.address, second.hash),
    }

    cancel = cancel_body(second, profile)
    assert cancel is not None
    assert answer(await post(chain, cancel))["result"] == [hex0x(second.hash)]
    assert [b.signer for b in chain.bundles.aimed_at(1)] == [STRANGER.address]
    empty = request("eth_sendBundle", {"txs": [], "blockNumber": "0x1", "replacementUuid": UUID})
    assert answer(await post(chain, empty, STRANGER))["result"] == {"bundleHash": hex0x(keccak(b""))}
    assert chain.bundles.aimed_at(1) == ()


async def test_call_bundle_says_what_the_block_would_say(chain: Chain, world: World) -> None:
    mine(chain, Traders(chain, world, seed=1, trades_per_slot=2.0), 1)
    trade = search_at_head(chain, world, Settings()).trades[0]
    raws = [arbitrage(chain, world, trade).raw, transfer(chain, fees=(GWEI, 10 * GWEI))]
    target = chain.head.number + 1
    fields = {"txs": [hex0x(raw) for raw in raws], "blockNumber": hex(target), "stateBlockNumber": "latest"}
    result = answer(await post(chain, request("eth_callBundle", fields)))["result"]
    await post(chain, send_bundle_body(Bundle(tuple(raws), target), GENERIC))
    receipts = chain.mine(0).block.receipts

    assert result["bundleHash"] == hex0x(bundle_hash(raws))
    assert [row["gasUsed"] for row in result["results"]] == [r.gas_used for r in receipts]
    assert [row["txHash"] for row in result["results"]] == [hex0x(r.transaction_hash) for r in receipts]
    assert [int(row["coinbaseDiff"]) for row in result["results"]] == [r.coinbase_delta for r in receipts]
    assert int(result["coinbaseDiff"]) == sum(r.coinbase_delta for r in receipts)
    assert result["results"][0]["ethSentToCoinbase"] == result["results"][0]["coinbaseDiff"]
    assert (result["results"][1]["gasFees"], result["results"][1]["ethSentToCoinbase"]) == (str(21_000 * GWEI), "1")
    assert result["totalGasUsed"] == sum(r.gas_used for r in receipts)
    assert result["stateBlockNumber"] == target - 1
    assert all("value" in row for row in result["results"])


async def test_call_bundle_reports_reverts_by_transaction_and_misfits_as_an_error(chain: Chain, world: World) -> None:
    sender = world.names["trader_0"]
    failing = transfer(
        chain, to=CONTRACTS["uniswap_v2_router"], value=0, data=swap_data(10**30, sender), gas_limit=300_000
    )
    fields = {"txs": [hex0x(failing)], "blockNumber": "0x1", "stateBlockNumber": "0x0"}
    row = answer(await post(chain, request("eth_callBundle", fields)))["result"]["results"][0]

    assert row["revert"].startswith("0x08c379a0")
    assert "value" not in row

    early = transfer(chain, nonce=99)
    error = answer(await post(chain, request("eth_callBundle", fields | {"txs": [hex0x(early)]})))["error"]
    assert error["code"] == -32000
    assert error["message"].startswith("err: nonce 99")
    assert error["message"].endswith(f"txhash {hex0x(decode(early).hash)}")
    assert (
        "not available"
        in answer(await post(chain, request("eth_callBundle", fields | {"stateBlockNumber": "0x5"})))["error"][
            "message"
        ]
    )
