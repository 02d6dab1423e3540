"""A real arbitrage of a recorded mainnet block, through our own corridor: load its pools from the state before it, find
the cycle, size it, run it through FlashArb on the pools' and tokens' real bytecode, and bundle it.

The state comes from the recorded block, or, where ``FLASHARB_TEST_RPC`` names an archive node, from there.
FlashArb needs Cancun's transient storage, so its transaction runs by Cancun's rules on the older blocks' state.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.node import Node, RpcFailure, open_node
from flasharb.adapters.readers import NodeReader
from flasharb.adapters.state import simulate_on_node
from flasharb.evm import BlockContext, Fork, Machine, MissingState
from flasharb.execution import artifact
from flasharb.execution.bundle import Bundle, bundle_hash, send_bundle_body, signature_header
from flasharb.execution.program import encode_call
from flasharb.execution.signing import SigningKey, sign
from flasharb.execution.transaction import Transaction
from flasharb.market import Market
from flasharb.pools import Pool, PoolSpec, Token, V2Pool
from flasharb.settings import Mev, Pools, Settings, Strategy
from flasharb.simulation.candidate import measured
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.recorded import RecordedState, context_of
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.simulate import Options, Run
from flasharb.strategy.search import Findings, Search, Tokens
from flasharb.strategy.terms import Terms, confirm, terms
from flasharb.strategy.trade import Trade
from flasharb.units import ZERO_ADDRESS, Address, hex0x
from tests.support.known_part import known_part, vouched_for

CASES = [(13217637, 2), (13217637, 1037), (17666333, 37)]
WETH = Address(bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"))
CONTRACT = Address(keccak(b"flasharb test contract")[12:])
SIGNER = SigningKey(keccak(b"flasharb test signer"))
IDENTITY = SigningKey(keccak(b"flasharb test identity"))
ETHER = 10**18
WETH_BALANCES = (3).to_bytes(32, "big")
"""The slot of WETH9's balanceOf."""
GET_RESERVES = keccak(b"getReserves()")[:4]

SETTINGS = Settings(
    strategy=Strategy(min_profit_usd=0, max_position_pct=1),
    pools=Pools(min_liquidity_usd=0),
    # a thin margin is better spent on the bid than on the gas of paying it directly
    mev=Mev(max_gas_price_gwei=100_000, bid_payment="priority_fee"),
)


class Block(Protocol):
    """What a transaction must know of its block."""

    @property
    def context(self) -> BlockContext: ...


class Chain(Block, Protocol):
    """The state before a block, and its header."""

    async def slot(self, address: Address, slot: int) -> int | None: ...
    async def reserves(self, pool: Address) -> tuple[int, int]: ...
    async def run(self, run: Run) -> Simulation: ...
    def state(self) -> ForkState: ...


def reserves_of(machine: Machine, pool: Address) -> tuple[int, int]:
    """What the pool's own code says that it holds."""
    answer = machine.call(pool, GET_RESERVES, gas=100_000)
    assert answer.success
    return int.from_bytes(answer.output[:32], "big"), int.from_bytes(answer.output[32:64], "big")


class Recorded:
    """The state before a recorded block."""

    def __init__(self, path: Path) -> None:
        block = read_block(path)
        self.context = block.context
        self._state = RecordedState(block)
        self._slots = {address: account.storage for address, account in block.pre_state.items() if account is not None}

    async def slot(self, address: Address, slot: int) -> int | None:
        return self._slots.get(address, {}).get(slot)

    async def reserves(self, pool: Address) -> tuple[int, int]:
        return reserves_of(Machine(self._state, self.context, Fork.LONDON), pool)

    async def run(self, run: Run) -> Simulation:
        answer = run.step()
        assert isinstance(answer, Simulation), f"the recorded block does not have {answer}"
        return answer

    def state(self) -> ForkState:
        return ForkState(self._state)


class Archive:
    """The state before a block, asked of an archive node."""

    def __init__(self, node: Node, context: BlockContext) -> None:
        self.context = context
        self._node = node
        self._supplied = ForkState()

    async def slot(self, address: Address, slot: int) -> int | None:
        (answer,) = await self._node.batch(
            [("eth_getStorageAt", (hex0x(address), hex(slot), hex(self.context.number - 1)))]
        )
        return None if isinstance(answer, RpcFailure) else int(str(answer), 16)

    async def reserves(self, pool: Address) -> tuple[int, int]:
        state = ForkState()
        for _ in range(20):
            try:
                return reserves_of(Machine(state, self.context, Fork.LONDON), pool)
            except MissingState as missing:
                await NodeReader(self._node, self.context.number - 1).fetch(missing, state)
        raise AssertionError("the pool asks for ever more state")

    async def run(self, run: Run) -> Simulation:
        return await simulate_on_node(NodeReader(self._node, self.context.number - 1), run, self._supplied)

    def state(self) -> ForkState:
        self._supplied = ForkState()
        return self._supplied


@asynccontextmanager
async def chain_before(folder: Path, number: int) -> AsyncIterator[Chain]:
    """The state before block ``number``, from the archive node where there is one."""
    url = os.environ.get("FLASHARB_TEST_RPC")
    if not url:
        yield Recorded(folder / f"{number}.json.gz")
        return
    async with open_node(url, timeout_s=60, batch_size=50) as node:
        header = await node.call("eth_getBlockByNumber", hex(number), False)
        assert isinstance(header, dict)
        yield Archive(node, context_of(header, 1))


@dataclass(frozen=True)
class Arbitrage:
    """What the searcher did. ``strange``: pools of no factory that we know, with a storage layout of their own; they
    keep to the interface and the fee of Uniswap V2.
    """

    pools: tuple[PoolSpec, ...]
    strange: frozenset[Address]
    states: tuple[dict[str, Any], ...]
    gross_profit: int
    earlier_on_its_pools: list[int]


def arbitrage(folder: Path, number: int, index: int) -> Arbitrage:
    """The entry of ``arbs.json``."""
    entries = json.loads((folder / "arbs.json").read_text())
    (entry,) = (one for one in entries if (one["block"], one["index"]) == (number, index))
    specs: list[PoolSpec] = []
    strange: set[Address] = set()
    for leg in entry["legs"]:
        at = [Address(bytes.fromhex(leg[key][2:])) for key in ("pool", "token_in", "token_out")]
        state = leg["pool_state_before_tx"]
        tokens = (at[1], at[2])
        spec = vouched_for(at[0], leg["kind"], tokens, state.get("fee", 0), state.get("tickSpacing", 0))
        if spec is None:
            assert leg["kind"] == "v2"
            strange.add(at[0])
            spec = PoolSpec(at[0], "uniswap_v2", (min(tokens), max(tokens)), 3000)
        specs.append(spec)
    return Arbitrage(
        tuple(specs),
        frozenset(strange),
        tuple(leg["pool_state_before_tx"] for leg in entry["legs"]),
        int(entry["gross_profit"][hex0x(WETH)]["raw"]),
        [one for one in entry["other_txs_touching_same_pools"] if one < index],
    )


def is_state(pool: Pool, state: dict[str, Any]) -> bool:
    """Whether a pool stands exactly where the record says that it stood before the transaction."""
    if isinstance(pool, V2Pool):
        return (pool.reserve0, pool.reserve1) == (int(state["reserve0"]), int(state["reserve1"]))
    expected = (int(state["sqrtPriceX96"]), int(state["tick"]), int(state["liquidity"]))
    return (pool.sqrt_price_x96, pool.tick, pool.liquidity) == expected


async def load(chain: Chain, theirs: Arbitrage) -> list[Pool]:
    """The pools from their storage; those of an unknown layout say their reserves themselves."""
    return [
        V2Pool(spec, *await chain.reserves(spec.address))
        if spec.address in theirs.strange
        else await known_part(spec, chain.slot)
        for spec in theirs.pools
    ]


async def find(chain: Chain, theirs: Arbitrage) -> Findings:
    """Load the pools, and search the market that they make."""
    pools = await load(chain, theirs)
    for pool, state in zip(pools, theirs.states, strict=True):
        assert is_state(pool, state), "no transaction before it touched its pools"
    tokens = {token for spec in theirs.pools for token in (spec.token0, spec.token1)}
    market = Market.load(chain.context.number - 1, pools, [Token(token, "", 18) for token in tokens])
    search = Search(SETTINGS, Tokens((WETH,), (), WETH))
    return search.update(market, None, chain.context.base_fee_per_gas)


def without_bid(chain: Block, min_profit: int = 0) -> Terms:
    """The terms of a first look: what does it make, and what does it take?"""
    return Terms(min_profit, 0, 0, chain.context.base_fee_per_gas, 0, 1_000_000, 0)


def signed(trade: Trade, chain: Block, agreed: Terms) -> bytes:
    """Our transaction for a trade, signed."""
    call = encode_call(
        trade,
        weth=WETH,
        loan="flash_swap",
        min_profit=agreed.min_profit,
        bid_wei=agreed.coinbase_wei,
        deadline_block=chain.context.number,
    )
    transaction = Transaction(
        chain_id=1,
        nonce=0,
        max_priority_fee_per_gas=agreed.max_priority_fee_per_gas,
        max_fee_per_gas=agreed.max_fee_per_gas,
        gas_limit=agreed.gas_limit,
        to=CONTRACT,
        value=0,
        data=call,
    )
    return sign(transaction, SIGNER).raw


async def execute(chain: Chain, raw: bytes) -> Executed:
    """Run our transaction first in the block, with FlashArb standing on the fork.

    It holds one wei of WETH, as it does after its first sweep: a first balance ever would cost 17,100 gas more.
    """
    state = chain.state()
    state.create_account(SIGNER.address, balance=100 * ETHER)
    state.create_account(CONTRACT, nonce=1, code=artifact.runtime_code(SIGNER.address, WETH, ZERO_ADDRESS))
    state.supply_slot(WETH, int.from_bytes(keccak(CONTRACT.rjust(32, b"\0") + WETH_BALANCES), "big"), 1)
    context = replace(chain.context, excess_blob_gas=0)
    run = Run([raw], state, context, Fork.CANCUN, options=Options(measure=((CONTRACT, WETH),)))
    (executed,) = (await chain.run(run)).transactions
    return executed


@pytest.mark.mainnet
@pytest.mark.parametrize(("number", "index"), CASES)
async def test_a_real_arbitrage_is_found_sized_simulated_and_bundled(
    mainnet_blocks: Path, number: int, index: int
) -> None:
    theirs = arbitrage(mainnet_blocks, number, index)
    assert not theirs.earlier_on_its_pools
    async with chain_before(mainnet_blocks, number) as chain:
        found = await find(chain, theirs)
        (trade,) = found.trades
        assert [hop.hop.pool for hop in trade.hops] == [spec.address for spec in theirs.pools]
        assert theirs.gross_profit <= trade.gross_profit <= trade.gain_bound

        # without a bid: what it makes and takes
        first = await execute(chain, signed(trade, chain, without_bid(chain)))
        assert (first.status, first.revert_reason) == (1, None)
        facts = measured(first, CONTRACT, WETH, 0)
        assert facts.gross_profit == trade.gross_profit, "to the wei"
        assert trade.gas_estimate <= first.gas_used

        agreed = terms(trade, facts, found.costs, SETTINGS)
        assert isinstance(agreed, Terms), agreed
        raw = signed(trade, chain, agreed)
        # the exact transaction that would be sent
        final = await execute(chain, raw)
        assert final.status == 1
        confirmed = confirm(trade, agreed, measured(final, CONTRACT, WETH, agreed.coinbase_wei), found.costs, SETTINGS)
        assert isinstance(confirmed, Terms), confirmed
        assert confirmed.net_profit_wei > 0
        assert final.coinbase_payment_wei == confirmed.bid_wei
        gain = final.balance_changes[CONTRACT][WETH] + final.balance_changes[SIGNER.address][None]
        assert gain == confirmed.net_profit_wei, "contract and signer together grew by the net profit"

        # with the state moved against us the contract refuses: nothing but gas is lost
        greedy = await execute(chain, signed(trade, chain, without_bid(chain, trade.gross_profit + 1)))
        assert greedy.status == 0
        assert greedy.balance_changes.get(CONTRACT, {}).get(WETH, 0) == 0

    bundle = Bundle((raw,), number)
    body = json.loads(send_bundle_body(bundle))
    assert body["params"] == [{"txs": [hex0x(raw)], "blockNumber": hex(number)}]
    assert bundle.hash == bundle_hash([raw]) == keccak(keccak(raw))
    assert signature_header(send_bundle_body(bundle), IDENTITY).startswith("0x")


@pytest.mark.mainnet
@pytest.mark.parametrize(("number", "index"), CASES)
async def test_without_the_gap_nothing_is_found(mainnet_blocks: Path, number: int, index: int) -> None:
    """After our own trade the same pools hold no arbitrage worth a transaction."""
    theirs = arbitrage(mainnet_blocks, number, index)
    async with chain_before(mainnet_blocks, number) as chain:
        (trade,) = (await find(chain, theirs)).trades
        pools = {pool.spec.address: pool for pool in await load(chain, theirs)}
        for hop in trade.hops:
            swapped = pools[hop.hop.pool].swapped(*hop.ends, hop.amount_in)
            assert swapped.amount_out == hop.amount_out
            pools[hop.hop.pool] = swapped.pool
        market = Market.load(number, pools.values(), [])
        after = Search(SETTINGS, Tokens((WETH,), (), WETH)).update(market, None, chain.context.base_fee_per_gas)
        assert after.trades == ()
