"""Does a token move as quotes take it to: whole amounts, for anybody, at the price of some gas?

What a token does is tried out, not read from its code: a pool that holds it sends it to the executor, which sends it
on, each as the real message sender and in a transaction of the executor's owner. Favoured senders, lists of blocked
accounts and traps for strangers show themselves then. What no trial in one state can show is what the token will do in
another one: whoever trades it looks again when simulations fail (``simulation.suspicion``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from flasharb.evm import BlockContext, CallResult, Fork, Machine, MissingState, StateSource
from flasharb.simulation.revert_reason import revert_reason
from flasharb.units import Address, checksum

TRANSFER_GAS: Final = 300_000
"""More than this for one transfer is no token's bookkeeping."""
_CALL_GAS: Final = 3_000_000
_LEAST_HELD: Final = 100
_DAY_S: Final = 86_400
_DAY_BLOCKS: Final = 7_200
_BALANCE_OF: Final = bytes.fromhex("70a08231")
_TRANSFER: Final = bytes.fromhex("a9059cbb")


class TokenFault(StrEnum):
    """Why a token must not be traded."""

    NO_CONTRACT = "no_contract"
    """Nothing at its address answers."""

    NO_BALANCE = "no_balance"
    """``balanceOf`` fails or does not answer with a number."""

    TRANSFER_REVERTS = "transfer_reverts"
    """A transfer fails: paused, blocked, or not for us (the evidence has the reason)."""

    RETURNS_FALSE = "returns_false"
    """A transfer says that it failed, without failing."""

    STRANGE_ANSWER = "strange_answer"
    """A transfer answers neither nothing nor one bool."""

    RECEIVER_GETS_LESS = "receiver_gets_less"
    """A fee on transfers, balances that are rounded shares, or a trap."""

    RECEIVER_GETS_MORE = "receiver_gets_more"
    """What arrives is more than what was sent."""

    SENDER_PAYS_OTHERWISE = "sender_pays_otherwise"
    """The sender's balance does not fall by what was sent."""

    BALANCE_MOVES_BY_TIME = "balance_moves_by_time"
    """Balances change without a transfer: reserves and ticks would no longer be what the pool holds."""

    GREEDY = "greedy"
    """A transfer takes more gas than ``TRANSFER_GAS``."""

    NOT_HELD = "not_held"
    """The pool holds too little of it to try."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the trial showed; ``fault`` None: the token moves as it should. ``evidence`` says where and by how much."""

    fault: TokenFault | None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part: a pool (or vault, or manager) that holds the token, our contract, and its owner."""

    holder: Address
    executor: Address
    owner: Address


def check_token(
    token: Address, parties: Parties, source: StateSource, context: BlockContext, fork: Fork
) -> Verdict | MissingState:
    """Try a token out on top of ``source``, in the block ``context``; state that this lacks is the answer then."""
    try:
        return _check(token, parties, source, context, fork)
    except MissingState as missing:
        return missing


def _check(token: Address, parties: Parties, source: StateSource, context: BlockContext, fork: Fork) -> Verdict:
    machine = Machine(source, context, fork)
    if not machine.code(token):
        return Verdict(TokenFault.NO_CONTRACT, f"no code at {checksum(token)}")
    held = _balance(machine, token, parties.holder)
    if held is None:
        return Verdict(TokenFault.NO_BALANCE, f"balanceOf({checksum(parties.holder)}) gives no number")
    amounts = _amounts(held)
    if not amounts:
        return Verdict(TokenFault.NOT_HELD, f"{checksum(parties.holder)} holds {held}")
    for amount in amounts:
        before = machine.snapshot()
        for verdict in _there_and_back(machine, token, parties, amount):
            if verdict is not None:
                return verdict
        machine.revert(before)
    later = Machine(source, _a_day_after(context), fork)
    then = _balance(later, token, parties.holder)
    if then != held:
        return Verdict(TokenFault.BALANCE_MOVES_BY_TIME, f"{held} held, {then} a day later without a transfer")
    return Verdict(None)


def _amounts(held: int) -> tuple[int, ...]:
    """A large part, some, and next to nothing: odd numbers, which rounded shares do not hide by luck."""
    return (held // 10 | 1, held // 1000 | 1, 7) if held >= _LEAST_HELD else ()


def _there_and_back(machine: Machine, token: Address, parties: Parties, amount: int) -> Iterator[Verdict | None]:
    """The verdicts of the pool's transfer to the executor and of the executor's transfer back."""
    for sender, receiver in ((parties.holder, parties.executor), (parties.executor, parties.holder)):
        yield _transfer(machine, token, (sender, receiver), parties.owner, amount)


def _transfer(
    machine: Machine, token: Address, ends: tuple[Address, Address], owner: Address, amount: int
) -> Verdict | None:
    before = [_balance(machine, token, end) for end in ends]
    data = _TRANSFER + bytes(12) + ends[1] + amount.to_bytes(32, "big")
    result = machine.act(ends[0], token, data, origin=owner, gas=_CALL_GAS)
    after = [_balance(machine, token, end) for end in ends]
    what = f"transfer of {amount} from {checksum(ends[0])} to {checksum(ends[1])}"
    if None in before or None in after:
        return Verdict(TokenFault.NO_BALANCE, f"no balances around a {what}")
    sent, received = before[0] - after[0], after[1] - before[1]  # type: ignore[operator]  # no None among them
    fault = _fault_of(result, amount, sent, received)
    if fault is None:
        return None
    answer = f"0x{result.output[:32].hex()}" + (f" of {len(result.output)} bytes" if len(result.output) > 32 else "")
    told = revert_reason(result.output, result.error) or f"answered {answer}"
    return Verdict(fault, f"{what}: {told}, sender pays {sent}, receiver gets {received}, {result.gas_used} gas")


def _fault_of(result: CallResult, amount: int, sent: int, received: int) -> TokenFault | None:
    if not result.success:
        return TokenFault.TRANSFER_REVERTS
    if len(result.output) not in (0, 32):
        return TokenFault.STRANGE_ANSWER
    if result.output and int.from_bytes(result.output, "big") != 1:
        return TokenFault.STRANGE_ANSWER if any(result.output) else TokenFault.RETURNS_FALSE
    if received != amount:
        return TokenFault.RECEIVER_GETS_LESS if received < amount else TokenFault.RECEIVER_GETS_MORE
    if sent != amount:
        return TokenFault.SENDER_PAYS_OTHERWISE
    return TokenFault.GREEDY if result.gas_used > TRANSFER_GAS else None


def _balance(machine: Machine, token: Address, account: Address) -> int | None:
    answer = machine.call(token, _BALANCE_OF + bytes(12) + account, gas=_CALL_GAS)
    return int.from_bytes(answer.output, "big") if answer.success and len(answer.output) == 32 else None


def _a_day_after(context: BlockContext) -> BlockContext:
    return replace(context, number=context.number + _DAY_BLOCKS, timestamp=context.timestamp + _DAY_S)
