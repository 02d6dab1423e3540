"""Receipts alone show the arbitrages of real mainnet blocks, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flasharb.adapters.blockfile import read_block
from flasharb.evm.transactions import decode
from flasharb.simulation.receipts import BlockReceipt, Candidate, arbitrage_of, candidate_of, seen
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.result import Log
from flasharb.units import Address, Hash32, address, hex0x

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")

pytestmark = pytest.mark.mainnet


def receipts_of(block: RecordedBlock) -> tuple[BlockReceipt, ...]:
    return tuple(
        BlockReceipt(
            one.hash,
            one.index,
            one.sender,
            one.to,
            one.status,
            one.gas_used,
            one.effective_gas_price,
            tuple(Log(Address(log.address), tuple(map(Hash32, log.topics)), log.data) for log in one.logs),
        )
        for one in block.receipts
    )


def candidates(block: RecordedBlock) -> list[Candidate]:
    found = (candidate_of(receipt, {}, block.chain_id, WETH) for receipt in receipts_of(block))
    return [one for one in found if one is not None]


def test_all_known_arbitrages_are_recognised_with_their_profit_and_no_other(mainnet_blocks: Path) -> None:
    """Fourteen blocks: each entry of arbs.json with its gross profit in WETH and its pools, everything else is none.

    The profits of the entries were measured by executing the blocks; here nothing is executed.
    """
    entries = json.loads((mainnet_blocks / "arbs.json").read_text())
    known = {(one["block"], one["index"]): one for one in entries}
    found = {}
    judged = 0
    for path in sorted(mainnet_blocks.glob("[0-9]*.json.gz")):
        block = read_block(path)
        receipts = receipts_of(block)
        for candidate in candidates(block):
            judged += 1
            index = candidate.receipt.index
            won = arbitrage_of(candidate, decode(block.transactions[index]).value, WETH)
            if won is not None:
                assert candidate.cyclic
                found[block.number, index] = seen(candidate, won, receipts)
    assert len(entries) == 7
    assert judged == 29
    assert found.keys() == known.keys()
    for place, one in found.items():
        entry = known[place]
        assert one.arbitrage.token == WETH
        assert one.arbitrage.gross_profit == int(entry["gross_profit"][hex0x(WETH)]["raw"])
        # What is paid to the fee recipient directly no log shows.
        assert one.arbitrage.net_profit_wei is None
        pools = {bytes.fromhex(leg["pool"][2:]) for leg in entry["legs"] if leg["kind"] in ("v2", "v3")}
        assert pools <= set(one.arbitrage.path)


def test_the_factory_names_the_protocol_of_a_pool_that_only_the_logs_show(mainnet_blocks: Path) -> None:
    block = read_block(mainnet_blocks / "16146267.json.gz")
    (two,) = [one for one in candidates(block) if one.receipt.index == 17]
    assert [swap.protocol for swap in two.swaps] == ["uniswap_v3", "uniswap_v2"]
