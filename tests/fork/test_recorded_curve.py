"""The recorded arbitrage through a real Curve pool (V3, Curve, V2), run by FlashArb in its place in the block."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import Fork
from flasharb.execution import artifact
from flasharb.execution.commands import Curve, CurveFacts, SwapV3
from flasharb.execution.commands.leg import Leg
from flasharb.execution.planning import FLASH_SWAP, plan_legs
from flasharb.execution.program import Execution, encode
from flasharb.execution.signing import sign
from flasharb.execution.transaction import Transaction
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.result import Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.units import ZERO_ADDRESS, Address
from tests.fork.test_arbitrage import CONTRACT, ETHER, SIGNER, WETH

NUMBER, INDEX = 13_217_637, 1
COINS = 3


def legs_of(entry: dict[str, object]) -> list[Leg]:
    """What the searcher did, pool by pool; USDT and WBTC are coins 0 and 1 of the pool."""
    legs = []
    for leg in entry["legs"]:  # type: ignore[attr-defined]  # JSON
        pool, before, after = (Address(bytes.fromhex(leg[key][2:])) for key in ("pool", "token_in", "token_out"))
        i = 0 if leg["kind"] == "curve" or before < after else 1
        facts = CurveFacts(COINS, uint_indices=True) if leg["kind"] == "curve" else None
        amounts = int(leg["amount_in"]), int(leg["amount_out"])
        legs.append(Leg(leg["kind"], pool, before, after, i, 1 - i, *amounts, facts))
    return legs


def balance_slot(token_slot: int, *keys: Address) -> int:
    """The storage slot of a Solidity mapping, or of a mapping of mappings."""
    at = token_slot.to_bytes(32, "big")
    for key in keys:
        at = keccak(key.rjust(32, b"\0") + at)
    return int.from_bytes(at, "big")


@pytest.mark.mainnet
@pytest.mark.parametrize("more", [0, 1])
def test_the_same_amounts_give_the_same_profit_to_the_wei(mainnet_blocks: Path, more: int) -> None:
    """And one wei more than that profit is refused, whereupon nothing is left of it."""
    entries = json.loads((mainnet_blocks / "arbs.json").read_text())
    (entry,) = (one for one in entries if (one["block"], one["index"]) == (NUMBER, INDEX))
    legs = legs_of(entry)
    usdt, wbtc = legs[1].token_in, legs[1].token_out
    profit = {Address(bytes.fromhex(token[2:])): int(gain["raw"]) for token, gain in entry["gross_profit"].items()}
    (swap,) = commands = plan_legs(legs, WETH, FLASH_SWAP, WETH)
    assert isinstance(swap, SwapV3)
    assert isinstance(swap.program[0], Curve)

    block = read_block(mainnet_blocks / f"{NUMBER}.json.gz")
    state = ForkState(RecordedState(block))
    state.create_account(SIGNER.address, balance=100 * ETHER)
    state.create_account(CONTRACT, nonce=1, code=artifact.runtime_code(SIGNER.address, WETH, ZERO_ADDRESS))
    # One unit of each token, as after a first sweep of it, and no allowance ever.
    for token, slot in ((WETH, 3), (wbtc, 0), (usdt, 2)):
        state.supply_slot(token, balance_slot(slot, CONTRACT), 1)
    state.supply_slot(usdt, balance_slot(5, CONTRACT, legs[1].pool), 0)
    transaction = Transaction(
        chain_id=1,
        nonce=0,
        max_priority_fee_per_gas=0,
        max_fee_per_gas=block.context.base_fee_per_gas,
        gas_limit=1_000_000,
        to=CONTRACT,
        value=0,
        data=encode(Execution(NUMBER, profit[WETH] + more, 0, None, False, commands)),
    )
    raws = [block.transactions[0], sign(transaction, SIGNER).raw]
    context = replace(block.context, excess_blob_gas=0)
    tokens = tuple((CONTRACT, token) for token in (WETH, usdt, wbtc))
    done = Run(raws, state, context, Fork.CANCUN, options=Options(measure=tokens)).step()

    assert isinstance(done, Simulation), done
    ours = done.transactions[1]
    changes = {token: change for token, change in ours.balance_changes.get(CONTRACT, {}).items() if change}
    if more:
        assert (ours.status, changes) == (0, {})
        return
    assert (ours.status, ours.revert_reason) == (1, None)
    assert changes == profit, "what the searcher had left of USDT and WBTC too"
    # The searcher's contract had approved the pool for ever; ours does so for this input, and has it back to zero.
    assert ours.gas_used < entry["gas_used"] * 102 // 100
