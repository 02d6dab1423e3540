"""revm as a second opinion, through its Python binding (the optional package ``pyrevm``, Python up to 3.12).

The binding has traps, and this is how they are avoided. An unknown rule set is taken for another one without a word:
only the five names below are ever given, which the tests hold against what they do. There is no boundary between
transactions: each opinion has an EVM of its own, gas figures are not used. State that it was not given is zero to it:
it gets what our own run touched, so that whatever else it reads shows as a difference. BASEFEE is zero and BLOCKHASH
is made up inside it: a contract that depends on them gives a difference too, never a false agreement, and the objection
then says so. It knows no rules after Cancun; where one of the later ones may be why they differ, it is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from flasharb.evm import Account, Fork
from flasharb.evm.transactions import Transaction
from flasharb.simulation.measure import BALANCE_GAS, BALANCE_OF, Pair
from flasharb.simulation.opinion import (
    DIFFERS,
    UNABLE,
    Case,
    Opinion,
    Unable,
    Unconfirmed,
    gas_limit_of,
    transaction_of,
    unconfirmed,
    without_zeros,
)
from flasharb.simulation.result import Executed, Log
from flasharb.units import Address, Hash32, hex0x

pyrevm: Any
try:
    import pyrevm
except ImportError:
    pyrevm = None

ENGINE: Final = "revm"
_SPECS: Final = {
    Fork.BERLIN: "Berlin",
    Fork.LONDON: "London",
    Fork.PARIS: "Merge",
    Fork.SHANGHAI: "Shanghai",
    Fork.CANCUN: "Cancun",
}
_DELEGATION: Final = b"\xef\x01\x00"
_LATER_PRECOMPILES: Final = {
    **dict.fromkeys(range(0x0B, 0x12), "the BLS12-381 precompiles (EIP-2537)"),
    0x100: "the P256VERIFY precompile (EIP-7951)",
}
_CLZ: Final = 0x1E
_MADE_UP: Final = {0x40: "BLOCKHASH", 0x48: "BASEFEE"}
_INSTRUCTION: Final = re.compile(
    b"|".join(b"[\\x%02x].{0,%d}" % (0x5F + size, size) for size in range(1, 33)) + b"|.", re.DOTALL
)
_REVERT: Final = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")
_HALT: Final = re.compile(r"Halt \{ ")


def unavailable() -> str | None:
    """Why revm cannot be asked here, with the mend; None: it can."""
    if pyrevm is not None:
        return None
    return "the package pyrevm is not installed: pip install 'flasharb[second-opinion]' (Python up to 3.12)"


def revm_objection(ours: Executed, case: Case) -> Unconfirmed | None:
    """Why revm does not confirm what ours says of a transaction; None: it does."""
    found = unconfirmed(ours, case, revm_opinion(case))
    if found is None or found.reason != DIFFERS:
        return found
    # Where both agree, what revm lacks did not matter.
    lack = _lack(case)
    return found if lack is None else Unconfirmed(UNABLE, f"{ENGINE}: {lack}; {found.detail}")


def revm_opinion(case: Case) -> Opinion | Unable:
    """What revm says that the transaction does."""
    reason = unavailable() or _unfit(case)
    if reason is not None:
        return Unable(ENGINE, reason)
    tx = transaction_of(case.transaction)
    held_before = _balances(_evm(case), case.pairs)
    evm = _evm(case)
    price = tx.max_fee_per_gas
    if case.fork.since(Fork.LONDON):
        price = min(price, case.context.base_fee_per_gas + tx.max_priority_fee_per_gas)
    gas = gas_limit_of(case.transaction)
    to = tx.to or b""
    try:
        output, status = evm.message_call(_hex(tx.sender), _hex(to), tx.data, tx.value, gas, price), 1
    except RuntimeError as error:
        output, status = _failed(str(error)), 0
        if output is None:
            return Unable(ENGINE, f"it refuses the transaction: {error}")
    logs = tuple(_logs(evm.result.logs)) if status else ()
    evm.reset_transient_storage()
    held_after = _balances(evm, case.pairs)
    changes: dict[Address, dict[Address | None, int]] = {}
    for address in {*case.before, case.context.coinbase, tx.sender, to}:
        wei = case.before[address].balance if address in case.before else 0
        changes.setdefault(Address(address), {})[None] = evm.get_balance(_hex(address)) - wei
    for pair in held_before.keys() & held_after.keys():
        account, token = pair
        changes.setdefault(account, {})[token] = held_after[pair] - held_before[pair]
    return Opinion(ENGINE, status, output, logs, without_zeros(changes))


def _unfit(case: Case) -> str | None:
    """A kind of transaction that cannot be handed over."""
    tx = transaction_of(case.transaction)
    if not tx.to:
        return "contract creations are not compared"
    if isinstance(tx, Transaction) and tx.type_id in (3, 4):
        return f"transactions of type {tx.type_id} are not compared"
    return None


def _lack(case: Case) -> str | None:
    """What a touched account uses, or may use, and the binding does not have."""
    made_up = {opcode: f"{name}, which its Python binding makes up" for opcode, name in _MADE_UP.items()}
    later = case.fork not in _SPECS
    if later and case.fork is not Fork.PRAGUE:
        made_up[_CLZ] = "CLZ (EIP-7939), which it does not have"
    for address, account in case.before.items():
        precompile = _LATER_PRECOMPILES.get(int.from_bytes(address, "big"))
        if later and precompile is not None:
            return f"it does not have {precompile}"
        if later and account.code[:3] == _DELEGATION:
            return f"it does not have delegations of accounts (EIP-7702), as 0x{address.hex()} is one"
        for opcode, what in made_up.items():
            if stands_in(opcode, account.code):
                return f"the code of 0x{address.hex()} has {what}"
    return None


@lru_cache(4096)
def stands_in(opcode: int, code: bytes) -> bool:
    """Whether an opcode (none of the PUSHes) stands in the code, other than in the data of a PUSH."""
    return any(found[0][0] == opcode for found in _INSTRUCTION.finditer(code))


def _evm(case: Case) -> Any:
    """A fresh EVM in the block, with the state before the transaction."""
    context = case.context
    block = pyrevm.BlockEnv(
        number=context.number,
        coinbase=_hex(context.coinbase),
        timestamp=context.timestamp,
        difficulty=context.difficulty,
        prevrandao=context.prev_randao,
        basefee=context.base_fee_per_gas,
        gas_limit=context.gas_limit,
        excess_blob_gas=context.excess_blob_gas or 0,
    )
    tx = transaction_of(case.transaction)
    listed = pyrevm.TxEnv(access_list=[(_hex(address), list(slots)) for address, slots in tx.access_list])
    env = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=context.chain_id), block=block, tx=listed)
    evm = pyrevm.EVM(env=env, gas_limit=context.gas_limit, spec_id=_SPECS.get(case.fork, "Cancun"))
    for address, account in case.before.items():
        evm.insert_account_info(_hex(address), _info(account))
        for slot, value in account.storage.items():
            evm.insert_account_storage(_hex(address), slot, value)
    return evm


def _info(account: Account) -> Any:
    return pyrevm.AccountInfo(nonce=account.nonce, balance=account.balance, code=account.code or None)


def _balances(evm: Any, pairs: Iterable[Pair]) -> dict[Pair, int]:
    held = {}
    for account, token in pairs:
        question = BALANCE_OF + bytes(12) + account
        try:
            answer = evm.message_call(_hex(bytes(20)), _hex(token), question, 0, BALANCE_GAS, 0, True)
        except RuntimeError:
            continue
        if len(answer) >= 32:
            held[account, token] = int.from_bytes(answer[:32], "big")
    return held


def _failed(words: str) -> bytes | None:
    """The output of a failed call, by the words in which the binding tells it; None: it did not run at all."""
    reverted = _REVERT.search(words)
    if reverted is not None:
        return bytes.fromhex(reverted[1])
    return b"" if _HALT.search(words) else None


def _logs(logs: Any) -> Iterator[Log]:
    for log in logs:
        _, data = log.data
        topics = tuple(Hash32(bytes.fromhex(topic[2:])) for topic in log.topics)
        yield Log(Address(bytes.fromhex(log.address[2:])), topics, bytes(data))


def _hex(address: bytes) -> str:
    return hex0x(address)
