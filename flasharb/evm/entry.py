"""A whole transaction on the flat state: gas is bought, the frame runs, gas is paid back, what died is removed.

py-evm's executors do this in five layers with validation and text for a debug log in each. The order of all that can be
observed is theirs. Set-code authorizations and creations are py-evm's own.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from eth.exceptions import ContractCreationCollision
from eth.vm.forks.frontier.constants import REFUND_SELFDESTRUCT
from eth.vm.message import Message
from eth_hash.auto import keccak

from flasharb.evm.forks import GAS_PER_BLOB, Fork
from flasharb.evm.rlp import encode_bytes, encode_int, encode_list
from flasharb.evm.transactions import Transaction, floor_gas

_RIPEMD160: Final = bytes(19) + b"\x03"
_DELEGATION_PREFIX: Final = b"\xef\x01\x00"


class TransactionContext:
    """What code can ask about its transaction, as py-evm's opcode functions ask."""

    __slots__ = ("_next", "blob_versioned_hashes", "gas_price", "origin")

    def __init__(self, gas_price: int, origin: bytes, blob_versioned_hashes: tuple[bytes, ...] = ()) -> None:
        self.gas_price = gas_price
        self.origin = origin
        self.blob_versioned_hashes = blob_versioned_hashes
        self._next = count().__next__

    def get_next_log_counter(self) -> int:
        """The position of the next log in the transaction."""
        return self._next()


def execute(state: Any, fork: Fork, tx: Transaction, price: int) -> tuple[Any, int]:
    """Execute a transaction that has passed all checks; ``price`` in wei per gas.

    Returns:
        The computation, and the gas that the sender paid for.
    """
    db = state._account_db
    sender, nonce = tx.sender, db.get_nonce(tx.sender)
    cost = tx.gas * price
    if tx.blob_versioned_hashes:
        cost += GAS_PER_BLOB * len(tx.blob_versioned_hashes) * state.blob_base_fee
    db.set_balance(sender, db.get_balance(sender) - cost)
    db.set_nonce(sender, nonce + 1)
    refund = state.process_set_code_authorizations(tx) if tx.authorization_list else 0
    context = TransactionContext(price, sender, tx.blob_versioned_hashes)
    db.mark_address_warm(sender)
    for address, slots in tx.access_list:
        db.mark_address_warm(address)
        for slot in slots:
            db.mark_storage_warm(address, slot)
    computation = _call(state, fork, tx, context) if tx.to else _create(state, tx, nonce, context)
    computation.msg.refund = refund
    return computation, _settle(state, fork, tx, price, computation)


def _call(state: Any, fork: Fork, tx: Transaction, context: TransactionContext) -> Any:
    db, to = state._account_db, tx.to
    code = db.get_code(to)
    delegated = fork.since(Fork.PRAGUE) and code[:3] == _DELEGATION_PREFIX and len(code) == 23
    if delegated:
        db.mark_address_warm(code[3:])
        code = db.get_code(code[3:])
    db.mark_address_warm(to)
    snapshot = len(db.log)
    if tx.value:
        db.set_balance(tx.sender, db.get_balance(tx.sender) - tx.value)
        db.set_balance(to, db.get_balance(to) + tx.value)
    db.touch_account(to)
    make = state.computation_class
    message = make.message(tx.gas - tx.intrinsic_gas, to, tx.sender, tx.value, tx.data, code, delegated)
    computation = make.apply_computation(state, message, context)
    if computation._error is not None:
        db.discard(snapshot)
    return computation


def _create(state: Any, tx: Transaction, nonce: int, context: TransactionContext) -> Any:
    address = keccak(encode_list((encode_bytes(tx.sender), encode_int(nonce))))[12:]
    message = Message(
        gas=tx.gas - tx.intrinsic_gas,
        to=tx.to,  # type: ignore[arg-type]  # py-evm's Address is bytes
        sender=tx.sender,  # type: ignore[arg-type]  # py-evm's Address is bytes
        value=tx.value,
        data=b"",
        code=tx.data,
        create_address=address,  # type: ignore[arg-type]  # py-evm's Address is bytes
    )
    state.mark_address_warm(address)
    if state.has_code_or_nonce(address):
        computation = state.get_computation(message, context)
        computation.error = ContractCreationCollision(f"a contract stands at 0x{address.hex()} already")
        return computation
    return state.computation_class.apply_create_message(state, message, context)


def _settle(state: Any, fork: Fork, tx: Transaction, price: int, computation: Any) -> int:
    """Pay back and out, remove what ended or is empty; the gas used."""
    db = state._account_db
    london = fork.since(Fork.LONDON)
    ended = computation.get_accounts_for_deletion()
    refund = computation.get_gas_refund() + (0 if london else REFUND_SELFDESTRUCT * len(ended))
    used: int = tx.gas - computation.get_gas_remaining()
    used -= min(refund, used // (5 if london else 2))
    if fork.since(Fork.PRAGUE):
        used = max(used, floor_gas(tx.data))
    db.set_balance(tx.sender, db.get_balance(tx.sender) + (tx.gas - used) * price)
    coinbase = state.execution_context.coinbase
    tip = price - state.execution_context.base_fee_per_gas if london else price
    db.set_balance(coinbase, db.get_balance(coinbase) + used * tip)
    for address in ended:
        db.delete_account(address)
    touched = {coinbase, *computation.get_self_destruct_beneficiaries()}
    # The touch of this one precompile outlives a failure, as the main network once did (EIPs issue 716).
    if tx.to and (computation._error is None or tx.to == _RIPEMD160):
        touched.add(tx.to)
    for address in touched:
        if db.account_exists(address) and db.account_is_empty(address):
            db.delete_account(address)
    db.clear_transient()
    return used
