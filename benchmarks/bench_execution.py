"""Signing a transaction, signing a relay request, and building a bundle's body, against the usual libraries."""

from __future__ import annotations

import importlib.metadata
import json
import timeit
from collections.abc import Callable
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_hash.auto import keccak

from flasharb.execution.bundle import Bundle, send_bundle_body, signature_header
from flasharb.execution.replies import classify
from flasharb.execution.signing import SigningKey, sign
from flasharb.execution.transaction import Transaction

SECRET = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
CALL_DATA = bytes(range(250)) * 2


def best_us(work: Callable[[], object], number: int = 300, repeat: int = 5) -> float:
    """Microseconds of one call, the best of several rounds (the others measured the machine's other work)."""
    return min(timeit.repeat(work, number=number, repeat=repeat)) / number * 1e6


def row(case: str, value: float, peer: str | None = None, peer_value: float | None = None) -> dict[str, Any]:
    """One row; ``ratio`` > 1 means that ours is faster."""
    ratio = None if peer_value is None else peer_value / value
    return {"case": case, "value": value, "unit": "us", "peer": peer, "peer_value": peer_value, "ratio": ratio}


def rows() -> list[dict[str, Any]]:
    """All cases."""
    key, account = SigningKey(SECRET), Account.from_key(SECRET)
    eth_account = f"eth-account {importlib.metadata.version('eth-account')}"
    transaction = Transaction(1, 7, 10**9, 30 * 10**9, 300_000, bytes(range(20)), 0, CALL_DATA)
    fields = {
        "type": 2,
        "chainId": 1,
        "nonce": 7,
        "maxPriorityFeePerGas": 10**9,
        "maxFeePerGas": 30 * 10**9,
        "gas": 300_000,
        "to": bytes(range(20)),
        "value": 0,
        "data": CALL_DATA,
        "accessList": [],
    }
    raw = sign(transaction, key).raw
    assert raw == bytes(account.sign_transaction(fields).raw_transaction)
    bundle = Bundle((raw,), 17_000_001)
    body = send_bundle_body(bundle)

    def their_header() -> str:
        message = encode_defunct(text="0x" + keccak(body).hex())
        return f"{account.address}:0x{account.sign_message(message).signature.hex()}"

    def json_body() -> bytes:
        params = {"txs": ["0x" + raw.hex()], "blockNumber": hex(17_000_001)}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_sendBundle", "params": [params]}).encode()

    assert signature_header(body, key) == their_header()
    reply = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"bundleHash": "0x" + bundle.hash.hex()}}).encode()
    return [
        row(
            "sign a type-2 transaction with 500 B of data",
            best_us(lambda: sign(transaction, key)),
            eth_account,
            best_us(lambda: account.sign_transaction(dict(fields))),
        ),
        row(
            f"X-Flashbots-Signature over a body of {len(body)} B",
            best_us(lambda: signature_header(body, key)),
            eth_account,
            best_us(their_header),
        ),
        row(
            "serialise an eth_sendBundle body",
            best_us(lambda: send_bundle_body(bundle)),
            "json.dumps",
            best_us(json_body),
        ),
        row("bundle hash of one transaction", best_us(lambda: bundle.hash)),
        row("classify an acknowledgement", best_us(lambda: classify(200, {}, reply, bundle.hash, 1))),
    ]
