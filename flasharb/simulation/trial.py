"""A trade tried through FlashArb in the middle of a recorded block, on the pools' and tokens' real bytecode.

The contract stands on the fork as it would after its first sweep: owned by a fresh account of ours, holding one unit
of wrapped ether (a first balance ever would cost 17,100 gas more). FlashArb needs transient storage, so blocks older
than Cancun run by Cancun's rules here; nothing else that a swap does differs between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import BlockContext, Fork, InvalidTransaction, MissingState, StateSource, UnsignedTransaction
from flasharb.execution.artifact import runtime_code
from flasharb.execution.program import encode_call, loan_for
from flasharb.simulation.candidate import measured
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.result import Executed
from flasharb.simulation.simulate import Options, Run
from flasharb.strategy.terms import Measured
from flasharb.strategy.trade import Trade
from flasharb.units import WEI_PER_ETH, Address

SIGNER: Final = Address(keccak(b"flasharb: the signer of trials")[12:])
CONTRACT: Final = Address(keccak(b"flasharb: the contract of trials")[12:])
GAS_LIMIT: Final = 5_000_000
_WETH9_BALANCES: Final = 3
"""The slot of WETH9's ``balanceOf``."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a trial measured nothing. ``missing``: the file lacks state that it needs."""

    reason: str
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where trials are run: the state, the block, its rules, and the contracts that FlashArb is made with."""

    state: StateSource
    context: BlockContext
    fork: Fork
    wrapped_native: Address
    vault: Address
    manager: Address

    def by_later_rules(self) -> Place:
        """The same place, by Cancun's rules where it is older."""
        if self.fork.since(Fork.CANCUN):
            return self
        return replace(self, fork=Fork.CANCUN, context=replace(self.context, excess_blob_gas=0))


def try_out(trade: Trade, place: Place) -> Measured | Refused:
    """What the trade really makes and takes there, without a bid."""
    place = place.by_later_rules()
    loan = loan_for(trade, place.vault, place.manager)
    if loan is None:
        return Refused("nobody lends what it needs: none of its pools gives before it takes")
    data = encode_call(
        trade,
        weth=place.wrapped_native,
        loan=loan,
        min_profit=0,
        bid_wei=0,
        deadline_block=place.context.number,
    )
    transaction = UnsignedTransaction(
        sender=SIGNER,
        to=CONTRACT,
        data=data,
        value=0,
        nonce=0,
        gas_limit=GAS_LIMIT,
        max_fee_per_gas=place.context.base_fee_per_gas,
        max_priority_fee_per_gas=0,
        access_list=(),
        chain_id=place.context.chain_id,
    )
    options = Options(measure=((CONTRACT, trade.base_token),), beside_block=True)
    try:
        answer = Run([transaction], prepared(place), place.context, place.fork, options=options).step()
    except InvalidTransaction as error:
        return Refused(str(error))
    if isinstance(answer, MissingState):
        return Refused(str(answer), missing=True)
    executed: Executed = answer.transactions[0]
    if not executed.status:
        return Refused(executed.revert_reason or "reverted without a reason")
    return measured(executed, CONTRACT, trade.base_token, 0)


def prepared(place: Place) -> ForkState:
    """The state there, with FlashArb on it."""
    state = ForkState(place.state)
    state.create_account(SIGNER, balance=10**6 * WEI_PER_ETH)
    state.create_account(CONTRACT, nonce=1, code=runtime_code(SIGNER, place.wrapped_native, place.vault, place.manager))
    slot = keccak(CONTRACT.rjust(32, b"\0") + _WETH9_BALANCES.to_bytes(32, "big"))
    state.supply_slot(place.wrapped_native, int.from_bytes(slot, "big"), 1)
    return state
