"""A built block as ``mainnet-block-bundle/1``: what `flasharb simulate` and `flasharb verify` read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Final

import msgspec

from flasharb.devnet.block import Receipt
from flasharb.devnet.chain import Built
from flasharb.devnet.hexes import hex_bytes, hex_int
from flasharb.devnet.ledger import StateAt
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.units import Address

FORMAT: Final = "mainnet-block-bundle/1"


def bundle_json(built: Built, parent_state: StateAt, chain_id: int) -> dict[str, Any]:
    """The value of the file of a block; ``parent_state`` is the state that it was built on."""
    header = built.block.header
    codes: dict[str, str] = {}
    pre_state: dict[str, Any] = {}
    for address in sorted(built.touched.keys() | built.changes.keys()):
        change = built.changes.get(Address(address))
        slots = built.touched.get(address, frozenset()) | (change.slots.keys() if change is not None else set())
        account = parent_state.account(address)
        if account is None:
            pre_state[hex_bytes(address)] = None
            continue
        if account.code_hash != EMPTY_CODE_HASH:
            codes[hex_bytes(account.code_hash)] = hex_bytes(parent_state.code(account.code_hash))
        pre_state[hex_bytes(address)] = {
            "nonce": hex_int(account.nonce),
            "balance": hex_int(account.balance),
            "code_hash": hex_bytes(account.code_hash) if account.code_hash != EMPTY_CODE_HASH else None,
            "storage": {hex_int(slot): hex_int(parent_state.storage(address, slot)) for slot in sorted(slots)},
        }
    for code_hash, code in built.codes.items():
        codes[hex_bytes(code_hash)] = hex_bytes(code)
    return {
        "format": FORMAT,
        "chain_id": chain_id,
        "number": header.number,
        "hash": hex_bytes(header.hash),
        "fork": "prague",
        "source": {"repo": "flasharb devnet", "license": "MIT"},
        "verification": {"notes": "recorded by the chain that built it"},
        "header": header.to_json(),
        "parent_header": built.parent.to_json(),
        "transactions": [hex_bytes(transaction.raw) for transaction in built.block.transactions],
        "withdrawals": [],
        "pre_state": pre_state,
        "codes": codes,
        "block_hashes": {str(built.parent.number): hex_bytes(built.parent.hash)},
        "expected": {
            "gasUsed": hex_int(header.gas_used),
            "receiptsRoot": hex_bytes(header.receipts_root),
            "logsBloom": hex_bytes(header.logs_bloom),
            "receipts": [_receipt_json(receipt) for receipt in built.block.receipts],
        },
        "post_diff": {
            hex_bytes(address): None
            if change is None
            else {
                "nonce": hex_int(change.nonce),
                "balance": hex_int(change.balance),
                "code_hash": hex_bytes(change.code_hash) if change.code_hash != EMPTY_CODE_HASH else None,
                "storage": {hex_int(slot): hex_int(value) for slot, value in sorted(change.slots.items())},
            }
            for address, change in sorted(built.changes.items())
        },
    }


def _receipt_json(receipt: Receipt) -> dict[str, Any]:
    return {
        "index": receipt.index,
        "hash": hex_bytes(receipt.transaction_hash),
        "from": hex_bytes(receipt.sender),
        "to": None if receipt.to is None else hex_bytes(receipt.to),
        "type": receipt.type,
        "status": receipt.status,
        "gas_used": receipt.gas_used,
        "cumulative_gas_used": receipt.cumulative_gas_used,
        "effective_gas_price": receipt.effective_gas_price,
        "contract": None if receipt.contract_address is None else hex_bytes(receipt.contract_address),
        "coinbase_delta": str(receipt.coinbase_delta),
        "log0": receipt.log0,
        "bloom": hex_bytes(receipt.bloom),
        "logs": [
            [hex_bytes(log.address), [hex_bytes(topic) for topic in log.topics], hex_bytes(log.data)]
            for log in receipt.logs
        ],
    }


def write_block(folder: Path, value: dict[str, Any]) -> Path:
    """Write the file of a block; a reader never sees half of it."""
    path = folder / f"{value['number']}.json.gz"
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(gzip.compress(msgspec.json.encode(value), compresslevel=6, mtime=0))
    return unfinished.replace(path)
