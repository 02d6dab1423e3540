"""What a block does outside its transactions: system calls, withdrawals, execution requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from eth.constants import SYSTEM_ADDRESS, SYSTEM_MESSAGE_GAS
from eth.vm.forks.cancun.constants import BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CONTRACT_CODE, HISTORY_BUFFER_LENGTH
from eth.vm.forks.prague.constants import (
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    DEPOSIT_CONTRACT_ADDRESS,
    DEPOSIT_EVENT_SIGNATURE_HASH,
    HISTORY_SERVE_WINDOW,
    HISTORY_STORAGE_ADDRESS,
    HISTORY_STORAGE_CONTRACT_CODE,
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
)
from eth.vm.message import Message
from eth_hash.auto import keccak

from flasharb.evm.context import BlockContext
from flasharb.evm.forks import HOLESKY, MAINNET, SEPOLIA, Fork
from flasharb.evm.result import LogEntry
from flasharb.evm.source import EMPTY_CODE_HASH

_BEACON_ROOTS_HASH: Final = keccak(BEACON_ROOTS_CONTRACT_CODE)
_HISTORY_HASH: Final = keccak(HISTORY_STORAGE_CONTRACT_CODE)
_WEI_PER_GWEI: Final = 10**9
_DEPOSIT_CONTRACTS: Final = {
    SEPOLIA: bytes.fromhex("7f02c3e3c98b133055b8b348b2ac625669ed295d"),
    HOLESKY: b"\x42" * 20,
}


def begin_block(state: Any, block: BlockContext, fork: Fork) -> None:
    """Store the beacon root (since Cancun) and the parent hash (since Prague) where contracts look for them."""
    if fork.since(Fork.CANCUN) and block.parent_beacon_root is not None:
        at = block.timestamp % HISTORY_BUFFER_LENGTH
        root = int.from_bytes(block.parent_beacon_root, "big")
        slots = {at: block.timestamp, at + HISTORY_BUFFER_LENGTH: root}
        _store(state, block, bytes(BEACON_ROOTS_ADDRESS), _BEACON_ROOTS_HASH, slots, block.parent_beacon_root)
    if fork.since(Fork.PRAGUE):
        slots = {(block.number - 1) % HISTORY_SERVE_WINDOW: int.from_bytes(block.parent_hash, "big")}
        _store(state, block, bytes(HISTORY_STORAGE_ADDRESS), _HISTORY_HASH, slots, block.parent_hash)


def _store(
    state: Any, block: BlockContext, address: bytes, known_hash: bytes, slots: dict[int, int], data: bytes
) -> None:
    # On mainnet the contract is known to stand there since the fork, so that its account need not be known.
    code_hash = known_hash if block.chain_id == MAINNET else state.get_code_hash(address)
    if code_hash == known_hash:
        for slot, value in slots.items():
            state._account_db.overwrite_slot(address, slot, value)
    elif code_hash != EMPTY_CODE_HASH:
        system_call(state, address, data)


def system_call(state: Any, address: bytes, data: bytes) -> bytes:
    """A call from the system address that pays nothing; a failure changes nothing and returns no bytes."""
    code = state.get_code(address)
    if not code:
        return b""
    sender = SYSTEM_ADDRESS
    message = Message(gas=SYSTEM_MESSAGE_GAS, to=address, sender=sender, value=0, data=data, code=code)  # type: ignore[arg-type]  # py-evm's Address is bytes
    context = state.get_transaction_context_class()(gas_price=0, origin=sender)
    computation = state.computation_class.apply_message(state, message, context)
    state.clear_transient_storage()
    return bytes(computation.output) if computation.is_success else b""


def pay_withdrawals(state: Any, withdrawals: Iterable[tuple[bytes, int]]) -> None:
    """Credit (address, gwei) pairs; an account that stays empty is removed."""
    touched = set()
    for address, amount in withdrawals:
        state.delta_balance(address, amount * _WEI_PER_GWEI)
        touched.add(address)
    for address in touched:
        if state.account_is_empty(address):
            state.delete_account(address)


def collect_requests(state: Any, deposits: bytes) -> tuple[bytes, ...]:
    """The block's requests: deposits, withdrawals (EIP-7002), consolidations (EIP-7251); empty ones are left out."""
    requests = (
        b"\x00" + deposits,
        b"\x01" + system_call(state, bytes(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS), b""),
        b"\x02" + system_call(state, bytes(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS), b""),
    )
    return tuple(request for request in requests if len(request) > 1)


def deposits_of(logs: Iterable[LogEntry], chain_id: int) -> list[bytes]:
    """The deposit requests (EIP-6110) among logs."""
    contract = _DEPOSIT_CONTRACTS.get(chain_id, bytes(DEPOSIT_CONTRACT_ADDRESS))
    return [
        log.data[192:240] + log.data[288:320] + log.data[352:360] + log.data[416:512] + log.data[544:552]
        for log in logs
        if log.address == contract and log.topics[:1] == (DEPOSIT_EVENT_SIGNATURE_HASH,)
    ]
