"""The backtest on real mainnet blocks: what was there is found, sized at least as well, and simulated to the wei."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from eth_hash.auto import keccak

from flasharb.adapters.blockfile import read_block
from flasharb.cli.backtest import command as backtest_command
from flasharb.cli.backtest_json import backtest_json
from flasharb.cli.verify import command as verify_command
from flasharb.market.snapshot import Market
from flasharb.simulation.backtest import Terms, backtest
from flasharb.simulation.missed import MissedReason
from flasharb.simulation.quotes import check_quotes
from flasharb.simulation.recorded_pools import known_pools, offered
from flasharb.simulation.replay import Replay
from flasharb.simulation.trial import Place, Refused, try_out
from flasharb.strategy.detect import Detector
from flasharb.strategy.limits import UNLIMITED
from flasharb.strategy.size import size
from flasharb.strategy.trade import Trade
from flasharb.units import ZERO_ADDRESS, Address, address, hex0x

WETH = address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
TERMS = Terms((WETH,), WETH, ZERO_ADDRESS)

pytestmark = pytest.mark.mainnet


def known_arbitrages(folder: Path) -> dict[tuple[int, int], dict[str, Any]]:
    return {(one["block"], one["index"]): one for one in json.loads((folder / "arbs.json").read_text())}


@pytest.mark.parametrize("number", [13217637, 16146267, 17666333, 18884864, 18885292])
def test_every_known_arbitrage_is_seen_and_what_we_trade_is_found(mainnet_blocks: Path, number: int) -> None:
    """Each entry is recognised with its profit; those whose pools we trade are matched and simulate to the wei.

    One goes through four pools (a V3 pool, a pair, a Curve pool of two coins, and one coin out of another's LP token).
    """
    known = {index: one for (block, index), one in known_arbitrages(mainnet_blocks).items() if block == number}
    result = backtest(read_block(mainnet_blocks / f"{number}.json.gz"), TERMS)
    assert {one.index for one in result.arbitrages} == known.keys()
    for one in result.arbitrages:
        entry = known[one.index]
        assert hex0x(one.tx_hash) == entry["tx"]
        assert one.gross_profit == int(entry["gross_profit"][hex0x(WETH)]["raw"])
        assert one.supported
        assert one.found, (one.index, one.missed, one.detail)
        assert one.ours is not None
        assert one.ours.simulated
        trade = one.ours.trade
        assert trade.gross_profit * 10**6 >= one.gross_profit * (10**6 - 1)
        assert trade.gross_profit <= trade.gain_bound
        assert max(gain for _, gain in one.ours.curve) <= trade.gross_profit


def test_cycles_that_make_more_together_are_simulated_as_one_transaction(mainnet_blocks: Path) -> None:
    """After the second transaction of this block two cycles share a pool: their split nets more, to the wei.

    Both are reported; the split nets more after the gas that it really takes, and no more than its bound.
    """
    result = backtest(read_block(mainnet_blocks / "13217637.json.gz"), TERMS)
    (ours,) = [ours for ours in result.moments[1].ours if ours.split is not None]
    split = ours.split
    assert split is not None
    assert split.simulated
    assert ours.simulated
    assert len(split.trade.paths) == 2
    assert split.net_profit_wei is not None
    assert ours.net_profit_wei is not None
    assert split.net_profit_wei > ours.net_profit_wei
    assert ours.trade.gross_profit < split.trade.gross_profit <= split.trade.gain_bound
    (summary,) = [backtest_json([result])["summary"]["splits"]]
    assert summary == {"found": 2, "simulated": 2, "better": 2}


def test_a_path_that_is_too_long_is_named(mainnet_blocks: Path) -> None:
    """With three hops the cycle of four pools is left out for its length."""
    terms = replace(TERMS, max_hops=3)
    (missed,) = backtest(read_block(mainnet_blocks / "18885292.json.gz"), terms).arbitrages
    assert missed.supported
    assert (missed.missed, missed.detail) == (MissedReason.PATH_LENGTH, "4 pools, at most 3 are searched")
    assert [missed.protocols[pool] for pool in missed.path] == [
        "sushiswap_v2", "curve_cryptoswap", "curve_stableswap", "uniswap_v3",
    ]  # fmt: skip


def test_a_block_without_arbitrage_shows_none(mainnet_blocks: Path) -> None:
    """A trade that happened by itself through one pool is no arbitrage; the end of the block is still looked at."""
    result = backtest(read_block(mainnet_blocks / "22615247.json.gz"), TERMS)
    assert result.arbitrages == ()
    (moment,) = result.moments
    assert moment.after_index == 25


def test_a_trial_lacks_state_by_name(mainnet_blocks: Path) -> None:
    """The end of this block shows a cycle through USDT, a slot of which the file lacks: said, never taken as zero."""
    block = read_block(mainnet_blocks / "18884864.json.gz")
    replay = Replay(block)
    for _ in block.transactions:
        replay.advance()
    known = known_pools(replay, offered(replay).specs.values())
    market = Market.load(block.number, known.pools.values(), ())
    sized = [size(market, one, UNLIMITED) for one in Detector(3, [WETH]).update(market, None)]
    place = Place(replay.state(), block.context, block.fork, WETH, ZERO_ADDRESS, ZERO_ADDRESS)
    answers = [try_out(trade, place) for trade in sized if isinstance(trade, Trade)]
    assert answers
    for answer in answers:
        assert isinstance(answer, Refused)
        assert answer.missing
        assert answer.reason.startswith("unknown state: slot")


def test_every_swap_that_we_can_judge_is_quoted_to_the_unit(mainnet_blocks: Path) -> None:
    """In all fourteen blocks no quote differs, and nearly all swaps are of protocols that we trade."""
    swaps = exact = less = 0
    curve: Counter[str] = Counter()
    for path in sorted(mainnet_blocks.glob("[0-9]*.json.gz")):
        quotes = check_quotes(read_block(path))
        assert quotes.differences == []
        for tally in quotes.by_protocol.values():
            swaps += tally.swaps
            exact += tally.exact
            less += tally.took_less
            assert tally.mismatched == 0
        curve.update({name: tally.exact for name, tally in quotes.by_protocol.items() if name.startswith("curve")})
    assert swaps > 290
    assert exact > 265
    assert exact + less > 290
    assert curve == {"curve_cryptoswap": 6, "curve_stableswap": 3}


def test_a_pool_at_a_foreign_address_is_refused(mainnet_blocks: Path) -> None:
    """A pair of another factory trades with the fee that its known code takes; with a byte more it is none we know."""
    block = read_block(mainnet_blocks / "17666333.json.gz")
    pair = Address(bytes.fromhex("af9742157a67e35f1aa0803e6ec589ca4cfd0864"))
    found = offered(Replay(block))
    assert (found.specs[pair].protocol, found.specs[pair].fee_pips) == ("v2_fork", 2000)
    assert not found.refused.keys() & found.specs.keys()

    account = block.pre_state[pair]
    assert account is not None
    code = block.codes[account.code_hash] + b"\0"
    altered = replace(account, code_hash=keccak(code))
    block = replace(block, pre_state={**block.pre_state, pair: altered}, codes={**block.codes, keccak(code): code})
    assert "vouches" in offered(Replay(block)).refused[pair]


def test_the_commands_keep_to_their_contracts(mainnet_blocks: Path) -> None:
    """The JSON of ``backtest`` and of ``verify --quotes`` has the keys of the command line's contract."""
    path = str(mainnet_blocks / "16146267.json.gz")
    answer = msgspec.json.decode(CliRunner().invoke(backtest_command, [path, "--json"], standalone_mode=False).stdout)
    gap = answer["summary"].pop("bound_gap")
    assert (gap["trades"], gap["unbounded"]) == (1, 0)
    assert gap["max"] <= 1e-9
    assert answer["summary"] == {
        "arbitrages": 1,
        "supported": 1,
        "found": 1,
        "profit_ratio": pytest.approx(1.00016, abs=1e-5),
        "missed": {},
        "splits": {"found": 0, "simulated": 0, "better": 0},
        "curtailed": 0,
    }
    ((block),) = answer["blocks"]
    (arbitrage,) = block["arbitrages"]
    contract = {
        "tx_hash", "index", "token", "path", "searcher_gross_profit", "supported", "found", "our_path",
        "our_gross_profit", "our_net_profit_wei", "bound", "simulated", "reason",
    }  # fmt: skip
    assert contract <= arbitrage.keys()
    assert int(arbitrage["bound"]) >= int(arbitrage["our_gross_profit"]) >= int(arbitrage["searcher_gross_profit"])
    contract = {"after_index", "token", "path", "amount_in", "gross_profit", "net_profit_wei", "simulated"}
    assert all(contract <= one.keys() for one in block["opportunities"])

    result = CliRunner().invoke(verify_command, [path, "--quotes", "--json"], standalone_mode=False)
    (file,) = msgspec.json.decode(result.stdout)["files"]
    for tally in file["quotes"].values():
        assert {"swaps", "exact", "mismatched", "unsupported", "unknown_state"} <= tally.keys()
        assert tally["mismatched"] == 0
