"""The bundle relay: takes bundles as Flashbots' does, checks them as it does, and refuses in its words.

Errors follow the go-utils server: JSON-RPC errors with HTTP status 200, plain text for a wrong method or content type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from eth_hash.auto import keccak

from flasharb.devnet.chain import Chain, check_transaction, next_context
from flasharb.devnet.hexes import hex_bytes, parse_bytes, parse_int
from flasharb.devnet.ledger import BlockUnavailable, StateAt
from flasharb.devnet.pending import Bundle, Refused
from flasharb.devnet.rpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    SERVER_ERROR,
    EvmThread,
    RpcError,
)
from flasharb.devnet.transactions import Transaction, UndecodableTransaction, decode
from flasharb.evm import BlockContext, Fork, InvalidTransaction, Machine, TransactionResult
from flasharb.evm.transactions import recover
from flasharb.safe_json import decode_json
from flasharb.units import Address, Hash32, checksum

MAX_TRANSACTIONS: Final = 100
MAX_BUNDLE_BYTES: Final = 300_000
MAX_BODY_BYTES: Final = 2_000_000
MAX_BLOCKS_AHEAD: Final = 25
SLOT_TIMESTAMP_STEP: Final = 2
_SEND_FIELDS: Final = frozenset(
    {"txs", "blockNumber", "minTimestamp", "maxTimestamp", "revertingTxHashes", "replacementUuid", "builders"}
)
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply."""

    status: int
    content_type: str
    body: bytes


class Unauthenticated(ValueError):
    """The signature header is missing or does not fit the body."""


def verify_signature(header: str | None, body: bytes) -> Address:
    """The identity that signed exactly these bytes.

    Raises:
        Unauthenticated: in the words of go-utils.
    """
    if header is None:
        raise Unauthenticated("signature is required")
    claimed, separator, signature = header.partition(":")
    if not separator:
        raise Unauthenticated("invalid signature provided: missing separator")
    if not _SIGNATURE.fullmatch(signature):
        raise Unauthenticated("invalid signature provided: not 65 bytes of hex with 0x")
    raw = bytes.fromhex(signature[2:])
    recovery = raw[64] - 27 if raw[64] >= 27 else raw[64]
    if recovery > 1:
        raise Unauthenticated("invalid signature provided: invalid recovery id")
    text = b"0x" + keccak(body).hex().encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n66" + text)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
    try:
        signer = Address(recover(digest, recovery, r, s))
    except InvalidTransaction as error:
        raise Unauthenticated(f"invalid signature provided: {error}") from None
    if claimed.lower() != hex_bytes(signer):
        raise Unauthenticated("invalid signature provided: signing address mismatch")
    return signer


class BundleRelay:
    """``eth_sendBundle``, ``eth_callBundle`` and ``eth_cancelBundle`` for one chain."""

    def __init__(self, chain: Chain, evm: EvmThread) -> None:
        self._chain = chain
        self._evm = evm

    async def handle(self, method: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Answer one HTTP request; ``headers`` by lower-case name."""
        if method != "POST":
            return Reply(405, "text/plain", b"only POST requests are allowed\n")
        if headers.get("content-type") != "application/json":
            return Reply(415, "text/plain", b"header Content-Type must be application/json\n")
        if len(body) > MAX_BODY_BYTES:
            return _error(None, RpcError(INVALID_REQUEST, f"request body too big, max {MAX_BODY_BYTES} bytes"))
        try:
            signer = verify_signature(headers.get("x-flashbots-signature"), body)
        except Unauthenticated as error:
            return _error(None, RpcError(INVALID_REQUEST, str(error)))
        try:
            request = decode_json(body)
        except (msgspec.DecodeError, RecursionError) as error:
            return _error(None, RpcError(PARSE_ERROR, f"parse error: {error}"))
        if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
            return _error(None, RpcError(PARSE_ERROR, "invalid jsonrpc version"))
        request_id = request.get("id")
        try:
            result = await self._answer(signer, request.get("method"), request.get("params"))
        except RpcError as error:
            return _error(request_id, error)
        return _json({"jsonrpc": "2.0", "id": request_id, "result": result})

    async def _answer(self, signer: Address, method: object, params: object) -> Any:
        if method not in ("eth_sendBundle", "eth_callBundle", "eth_cancelBundle"):
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
            raise RpcError(INVALID_PARAMS, "expected params with one object")
        fields = params[0]
        try:
            if method == "eth_sendBundle":
                return self.send_bundle(signer, fields)
            if method == "eth_callBundle":
                return await self.call_bundle(fields)
            gone = self._chain.bundles.cancel(signer, _uuid(fields["replacementUuid"]))
            return [hex_bytes(bundle_hash) for bundle_hash in gone]
        except KeyError as error:
            raise RpcError(INVALID_PARAMS, f"missing field {error}") from None
        except (UndecodableTransaction, Refused) as error:
            raise RpcError(SERVER_ERROR, f"unable to decode bundle: {error}") from None
        except (ValueError, TypeError) as error:
            raise RpcError(INVALID_PARAMS, f"invalid params: {error}") from None

    def send_bundle(self, signer: Address, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Check a bundle and keep it for its block; without transactions it withdraws those of its uuid."""
        unknown = fields.keys() - _SEND_FIELDS
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
        target = parse_int(fields["blockNumber"])
        uuid = _uuid(fields["replacementUuid"]) if fields.get("replacementUuid") is not None else None
        transactions = self._transactions(fields["txs"], may_be_empty=uuid is not None)
        head = self._chain.head.number
        if not head < target <= head + MAX_BLOCKS_AHEAD:
            raise Refused(f"blockNumber {target} is not among the next {MAX_BLOCKS_AHEAD} (head is {head})")
        bundle = Bundle(
            transactions=transactions,
            target_block=target,
            signer=signer,
            reverting=frozenset(Hash32(parse_bytes(item, 32)) for item in fields.get("revertingTxHashes") or ()),
            min_timestamp=_timestamp(fields.get("minTimestamp"), "minTimestamp"),
            max_timestamp=_timestamp(fields.get("maxTimestamp"), "maxTimestamp"),
            replacement_uuid=uuid,
        )
        if transactions:
            self._chain.bundles.add(bundle)
        elif uuid is not None:
            self._chain.bundles.cancel(signer, uuid)
        return {"bundleHash": hex_bytes(bundle.hash)}

    async def call_bundle(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Execute a bundle on a recent state and say what it pays."""
        transactions = self._transactions(fields["txs"])
        tag = fields["stateBlockNumber"]
        base = self._chain.head.number if tag == "latest" else parse_int(tag)
        try:
            state = self._chain.ledger.at(base)
        except BlockUnavailable as error:
            raise RpcError(SERVER_ERROR, f"err: {error}") from None
        context = self._call_context(base, parse_int(fields["blockNumber"]), fields)
        results = await self._evm.run(lambda: run_bundle(state, context, transactions))
        return _simulation_json(transactions, results, context, base)

    def _transactions(self, raw: object, may_be_empty: bool = False) -> tuple[Transaction, ...]:
        if not isinstance(raw, list) or (not raw and not may_be_empty):
            raise Refused("bundle missing txs")
        if len(raw) > MAX_TRANSACTIONS:
            raise Refused(f"too many transactions: {len(raw)} of at most {MAX_TRANSACTIONS}")
        encoded = [parse_bytes(item) for item in raw]
        if sum(map(len, encoded)) > MAX_BUNDLE_BYTES:
            raise Refused(f"bundle too big: more than {MAX_BUNDLE_BYTES} bytes")
        transactions = tuple(decode(item) for item in encoded)
        for transaction in transactions:
            check_transaction(transaction, self._chain.chain_id, self._chain.head.header.gas_limit)
        return transactions

    def _call_context(self, base: int, number: int, fields: Mapping[str, Any]) -> BlockContext:
        parent = self._chain.block(base)
        assert parent is not None
        following = next_context(
            parent.header,
            self._chain.chain_id,
            Address(parse_bytes(fields["coinbase"], 20)) if fields.get("coinbase") else self._chain.coinbase,
            fields.get("timestamp") or parent.header.timestamp + SLOT_TIMESTAMP_STEP,
        )
        base_fee = fields.get("baseFee")
        return BlockContext(
            **{name: getattr(following, name) for name in BlockContext.__slots__}
            | {
                "number": number,
                "base_fee_per_gas": following.base_fee_per_gas if base_fee is None else _number(base_fee),
                "gas_limit": _number(fields["gasLimit"]) if fields.get("gasLimit") else following.gas_limit,
            }
        )


def run_bundle(state: StateAt, context: BlockContext, transactions: Sequence[Transaction]) -> list[TransactionResult]:
    """Execute a bundle's transactions in order.

    Raises:
        RpcError: one of them could not stand in the block at all.
    """
    machine = Machine(state, context, Fork.PRAGUE)
    machine.begin_block()
    results = []
    for transaction in transactions:
        try:
            results.append(machine.apply(transaction.raw))
        except InvalidTransaction as error:
            raise RpcError(SERVER_ERROR, f"err: {error}; txhash {hex_bytes(transaction.hash)}") from None
    return results


def _simulation_json(
    transactions: Sequence[Transaction], results: Sequence[TransactionResult], context: BlockContext, base: int
) -> dict[str, Any]:
    rows = []
    total_gas = total_fees = total_payment = 0
    for transaction, result in zip(transactions, results, strict=True):
        fees = result.gas_used * (result.effective_gas_price - context.base_fee_per_gas)
        row: dict[str, Any] = {
            "txHash": hex_bytes(transaction.hash),
            "gasUsed": result.gas_used,
            "fromAddress": checksum(transaction.sender),
            "toAddress": checksum(transaction.to) if transaction.to is not None else "0x",
            "gasFees": str(fees),
            "gasPrice": str(result.coinbase_payment // result.gas_used),
            "coinbaseDiff": str(result.coinbase_payment),
            "ethSentToCoinbase": str(result.coinbase_payment - fees),
        }
        if result.status:
            row["value"] = hex_bytes(result.output)
        else:
            row["error"] = result.error or "execution reverted"
            row["revert"] = hex_bytes(result.output)
        rows.append(row)
        total_gas += result.gas_used
        total_fees += fees
        total_payment += result.coinbase_payment
    return {
        "bundleGasPrice": str(total_payment // total_gas),
        "bundleHash": hex_bytes(keccak(b"".join(transaction.hash for transaction in transactions))),
        "coinbaseDiff": str(total_payment),
        "ethSentToCoinbase": str(total_payment - total_fees),
        "gasFees": str(total_fees),
        "results": rows,
        "stateBlockNumber": base,
        "totalGasUsed": total_gas,
    }


def _uuid(text: object) -> str:
    if not isinstance(text, str):
        raise ValueError("replacementUuid is not a text")
    return str(UUID(text))


def _timestamp(value: object, name: str) -> int | None:
    if value is None or value == 0:
        return None
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is not a number of seconds")
    return value


def _number(value: object) -> int:
    return value if isinstance(value, int) else parse_int(value)


def _json(value: object) -> Reply:
    return Reply(200, "application/json", msgspec.json.encode(value))


def _error(request_id: object, error: RpcError) -> Reply:
    return _json({"jsonrpc": "2.0", "id": request_id, "error": error.to_json()})
