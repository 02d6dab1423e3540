"""Real arbitrages through Curve pools, from the search of the service to a bundle that the fork includes.

The state is that of the recorded block just before the searcher's transaction; the pools are all that the block offers,
with their recorded code. What is signed takes the searcher's place in the block.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import Fork
from flasharb.execution import artifact
from flasharb.execution.bundle import Bundle, bundle_hash, send_bundle_body, signature_header
from flasharb.market import Market
from flasharb.pools import Token
from flasharb.simulation.candidate import measured
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.trial import weth9_slot
from flasharb.strategy.search import Findings, Search, Tokens
from flasharb.strategy.terms import Terms, confirm, terms
from flasharb.units import ZERO_ADDRESS, hex0x
from tests.fork.test_arbitrage import CONTRACT, ETHER, IDENTITY, SETTINGS, SIGNER, WETH, execute, signed, without_bid

ROUTES = {
    (13217637, 1): ("uniswap_v3", "curve_cryptoswap", "sushiswap_v2"),
    # a coin of the CryptoSwap pool is the LP token of the StableSwap pool, out of which one coin is taken
    (18885292, 7): ("sushiswap_v2", "curve_cryptoswap", "curve_stableswap", "uniswap_v3"),
}


class Before:
    """The state before the transaction of this index of a recorded block."""

    def __init__(self, path: Path, index: int) -> None:
        self.replay = Replay(read_block(path))
        for _ in range(index):
            self.replay.advance()
        self.index = index
        self.context = self.replay.block.context

    def state(self) -> ForkState:
        return ForkState(self.replay.state())

    async def run(self, run: Run) -> Simulation:
        answer = run.step()
        assert isinstance(answer, Simulation), f"the recorded block does not have {answer}"
        return answer

    def find(self) -> Findings:
        """What the service's search finds in the market of all pools that the block offers."""
        pools = known_pools(self.replay, offered(self.replay).specs.values()).pools.values()
        tokens = {token for pool in pools for token in pool.spec.tokens}
        market = Market.load(self.context.number - 1, pools, [Token(token, "", 18) for token in tokens])
        settings = replace(SETTINGS, strategy=replace(SETTINGS.strategy, max_hops=4))
        return Search(settings, Tokens((WETH,), (), WETH)).update(market, None, self.context.base_fee_per_gas)

    def included(self, raw: bytes) -> Executed:
        """Our transaction in the block: after those that were before the searcher's, in the place of his."""
        block = self.replay.block
        state = ForkState(RecordedState(block))
        state.create_account(SIGNER.address, balance=100 * ETHER)
        state.create_account(CONTRACT, nonce=1, code=artifact.runtime_code(SIGNER.address, WETH, ZERO_ADDRESS))
        state.supply_slot(WETH, weth9_slot(CONTRACT), 1)
        raws = [*block.transactions[: self.index], raw]
        options = Options(measure=((CONTRACT, WETH),))
        done = Run(raws, state, replace(self.context, excess_blob_gas=0), Fork.CANCUN, options=options).step()
        assert isinstance(done, Simulation), done
        return done.transactions[self.index]


@pytest.mark.mainnet
@pytest.mark.parametrize(("number", "index"), ROUTES)
async def test_a_route_through_curve_is_found_simulated_signed_bundled_and_included(
    mainnet_blocks: Path, number: int, index: int
) -> None:
    entries = json.loads((mainnet_blocks / "arbs.json").read_text())
    (theirs,) = (one for one in entries if (one["block"], one["index"]) == (number, index))
    chain = Before(mainnet_blocks / f"{number}.json.gz", index)
    found = chain.find()
    trade = next(one for one in found.trades if any(hop.protocol.startswith("curve") for hop in one.hops))
    assert tuple(hop.protocol for hop in trade.hops) == ROUTES[number, index]
    assert trade.gross_profit >= int(theirs["gross_profit"][hex0x(WETH)]["raw"])

    first = await execute(chain, signed(trade, chain, without_bid(chain)))
    assert (first.status, first.revert_reason) == (1, None)
    facts = measured(first, CONTRACT, WETH, 0)
    assert facts.gross_profit == trade.gross_profit, "to the wei"
    agreed = terms(trade, facts, found.costs, SETTINGS)
    assert isinstance(agreed, Terms), agreed
    raw = signed(trade, chain, agreed)
    final = await execute(chain, raw)
    confirmed = confirm(trade, agreed, measured(final, CONTRACT, WETH, agreed.coinbase_wei), found.costs, SETTINGS)
    assert isinstance(confirmed, Terms), confirmed
    assert confirmed.net_profit_wei > 0

    bundle = Bundle((raw,), number)
    body = send_bundle_body(bundle)
    assert json.loads(body)["params"] == [{"txs": [hex0x(raw)], "blockNumber": hex(number)}]
    assert bundle.hash == bundle_hash([raw]) == keccak(keccak(raw))
    assert signature_header(body, IDENTITY).startswith("0x")

    ours = chain.included(raw)
    assert ours.status == 1
    gain = ours.balance_changes[CONTRACT][WETH] + ours.balance_changes[SIGNER.address][None]
    assert gain == confirmed.net_profit_wei, "contract and signer together grew by what was confirmed"
    assert ours.coinbase_payment_wei == confirmed.bid_wei
