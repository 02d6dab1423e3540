"""Routes through recorded pools that no devnet has, from the search of the service to a bundle that the fork includes.

The state is that of a recorded block before the transaction of an index; the pools have their recorded code. Through
Curve (CryptoSwap, and StableSwap by its LP token) the arbitrages are real ones: what is signed takes the searcher's
place. Of the recorded V4 and Balancer pools nobody made an arbitrage: beside each a pair (Uniswap V2's own code) is put
on the fork that pays more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.evm import BlockContext, Fork, StateSource
from flasharb.execution import artifact
from flasharb.execution.bundle import Bundle, bundle_hash, send_bundle_body, signature_header
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, Token, V2Pool
from flasharb.pools.storage import mapping_slot
from flasharb.simulation.candidate import measured
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.made_swaps import find_gift
from flasharb.simulation.recorded import RecordedState
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.trial import CONTRACT as TRIAL_CONTRACT
from flasharb.simulation.trial import Place, weth9_slot
from flasharb.strategy.search import Findings, Search, Tokens
from flasharb.strategy.terms import Terms, confirm, terms
from flasharb.strategy.trade import Trade
from flasharb.units import Address, address, hex0x
from tests.fork.test_arbitrage import CONTRACT, ETHER, IDENTITY, SETTINGS, SIGNER, WETH, signed, without_bid
from tests.support.pool_bytecode import deployed_code, number

VAULT = address("0xBA12222222228d8Ba445958a75a0704d566BF2C8")
MANAGER = address("0x000000000004444c5dc75cB358380D2e3dE08A90")
PAIR = Address(keccak(b"flasharb test pair")[12:])

CURVE_ROUTES = {
    (13217637, 1): ("uniswap_v3", "curve_cryptoswap", "sushiswap_v2"),
    # a coin of the CryptoSwap pool is the LP token of the StableSwap pool, out of which one coin is taken
    (18885292, 7): ("sushiswap_v2", "curve_cryptoswap", "curve_stableswap", "uniswap_v3"),
}


@dataclass
class Scene:
    """A recorded block before the transaction of this index; ``pair``: one that is put there, with what it holds."""

    replay: Replay
    index: int
    pair: V2Pool | None = None
    held: dict[tuple[Address, int], int] = field(default_factory=dict)

    @property
    def context(self) -> BlockContext:
        return self.replay.block.context

    def pools(self) -> list[Pool]:
        """All that the block offers, as they stand."""
        return list(known_pools(self.replay, offered(self.replay).specs.values()).pools.values())

    def run(self, base: StateSource, raws: Sequence[bytes]) -> Executed:
        """What the last of these transactions does on this state, with FlashArb (and the pair) on it.

        The contract holds one wei of WETH, as after its first sweep.
        """
        state = ForkState(base)
        state.create_account(SIGNER.address, balance=100 * ETHER)
        state.create_account(CONTRACT, nonce=1, code=artifact.runtime_code(SIGNER.address, WETH, VAULT, MANAGER))
        state.supply_slot(WETH, weth9_slot(CONTRACT), 1)
        if self.pair is not None:
            token0, token1 = map(number, self.pair.spec.tokens)
            reserves = self.pair.reserve0 | self.pair.reserve1 << 112
            storage = {6: token0, 7: token1, 8: reserves, 12: 1}
            state.create_account(PAIR, nonce=1, code=deployed_code("UniswapV2Pair"), storage=storage)
        for (token, slot), amount in self.held.items():
            state.supply_slot(token, slot, amount)
        block = self.replay.block
        later = block.fork if block.fork.since(Fork.CANCUN) else Fork.CANCUN
        context = block.context if later is block.fork else replace(block.context, excess_blob_gas=0)
        done = Run(list(raws), state, context, later, options=Options(measure=((CONTRACT, WETH),))).step()
        assert isinstance(done, Simulation), f"the recorded block does not have {done}"
        return done.transactions[-1]


def scene(folder: Path, number: int, index: int | None = None) -> Scene:
    """A block before this transaction, or at its end."""
    replay = Replay(read_block(folder / f"{number}.json.gz"))
    index = len(replay.block.transactions) if index is None else index
    for _ in range(index):
        replay.advance()
    return Scene(replay, index)


def search(at: Scene, pools: Sequence[Pool]) -> Findings:
    """What the service's search finds in the market of these pools."""
    tokens = {token for pool in pools for token in pool.spec.tokens}
    market = Market.load(at.context.number - 1, pools, [Token(token, "", 18) for token in tokens])
    settings = replace(SETTINGS, strategy=replace(SETTINGS.strategy, max_hops=4))
    return Search(settings, Tokens((WETH,), (), WETH)).update(market, None, at.context.base_fee_per_gas)


def lands(at: Scene, found: Findings, protocol: str) -> Trade:
    """Simulate the first trade through pools of this protocol, sign and bundle it, and include it in the block."""
    trade = next(one for one in found.trades if any(hop.protocol == protocol for hop in one.hops))
    first = at.run(at.replay.state(), [signed(trade, at, without_bid(at))])
    assert (first.status, first.revert_reason) == (1, None)
    facts = measured(first, CONTRACT, WETH, 0)
    assert facts.gross_profit == trade.gross_profit, "to the wei"
    agreed = terms(trade, facts, found.costs, SETTINGS)
    assert isinstance(agreed, Terms), agreed
    raw = signed(trade, at, agreed)
    final = measured(at.run(at.replay.state(), [raw]), CONTRACT, WETH, agreed.coinbase_wei)
    confirmed = confirm(trade, agreed, final, found.costs, SETTINGS)
    assert isinstance(confirmed, Terms), confirmed
    assert confirmed.net_profit_wei > 0

    bundle = Bundle((raw,), at.context.number)
    body = send_bundle_body(bundle)
    assert json.loads(body)["params"] == [{"txs": [hex0x(raw)], "blockNumber": hex(at.context.number)}]
    assert bundle.hash == bundle_hash([raw]) == keccak(keccak(raw))
    assert signature_header(body, IDENTITY).startswith("0x")

    ours = at.run(RecordedState(at.replay.block), [*at.replay.block.transactions[: at.index], raw])
    assert ours.status == 1
    gain = ours.balance_changes[CONTRACT][WETH] + ours.balance_changes[SIGNER.address][None]
    assert gain == confirmed.net_profit_wei, "contract and signer together grew by what was confirmed"
    assert ours.coinbase_payment_wei == confirmed.bid_wei
    return trade


@pytest.mark.mainnet
@pytest.mark.parametrize(("number", "index"), CURVE_ROUTES)
def test_a_real_arbitrage_through_curve_lands(mainnet_blocks: Path, number: int, index: int) -> None:
    """With at least the searcher's profit, through the same pools, out of all that the block offers."""
    entries = json.loads((mainnet_blocks / "arbs.json").read_text())
    (theirs,) = (one for one in entries if (one["block"], one["index"]) == (number, index))
    at = scene(mainnet_blocks, number, index)
    trade = lands(at, search(at, at.pools()), "curve_cryptoswap")
    assert tuple(hop.protocol for hop in trade.hops) == CURVE_ROUTES[number, index]
    assert trade.gross_profit >= int(theirs["gross_profit"][hex0x(WETH)]["raw"])


@pytest.mark.mainnet
@pytest.mark.parametrize(("number", "protocol"), [(22944300, "uniswap_v4"), (19929064, "balancer_weighted")])
def test_a_gap_between_a_recorded_pool_and_a_pair_lands(mainnet_blocks: Path, number: int, protocol: str) -> None:
    """The pair holds five ether, and gives a tenth more for one than the recorded pool does."""
    at = scene(mainnet_blocks, number)
    pool = next(pool for pool in at.pools() if pool.spec.protocol == protocol and WETH in pool.spec.tokens)
    (other,) = (token for token in pool.spec.tokens if token != WETH)
    ether = 5 * ETHER
    amount = int(ether * pool.marginal_rate(*pool.spec.ends(WETH, other)) * 1.1)
    tokens = (WETH, other) if other > WETH else (other, WETH)
    reserves = (ether, amount) if tokens[0] == WETH else (amount, ether)
    at.pair = V2Pool(PoolSpec(PAIR, "uniswap_v2", tokens, 3000), *reserves)
    at.held = {(WETH, weth9_slot(PAIR)): ether, (other, balance_slot(at, other)): amount}
    trade = lands(at, search(at, [pool, at.pair]), protocol)
    assert {hop.hop.pool for hop in trade.hops} == {pool.spec.address, PAIR}


def balance_slot(at: Scene, token: Address) -> int:
    """Where the token keeps the pair's balance: found by where it keeps FlashArb's."""
    block = at.replay.block
    place = Place(at.replay.state(), block.context, block.fork, WETH, VAULT, MANAGER).by_later_rules()
    gift = find_gift(token, place)
    assert gift is not None
    assert gift.contract == token
    (mapping,) = (slot for slot in range(300) if mapping_slot(number(TRIAL_CONTRACT), slot) == gift.slot)
    return mapping_slot(number(PAIR), mapping)
