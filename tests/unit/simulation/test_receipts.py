"""What receipts tell of an arbitrage, and what they are not taken for."""

from __future__ import annotations

from dataclasses import replace

from eth_hash.auto import keccak

from flasharb.pools.managed.key import PoolKey, spec_of
from flasharb.simulation.arbitrage import Arbitrage
from flasharb.simulation.receipts import (
    MOST_LOGS,
    MOST_SWAPS,
    BlockReceipt,
    Known,
    arbitrage_of,
    balance_changes,
    candidate_of,
    seen,
)
from flasharb.simulation.result import Log
from flasharb.simulation.swaps import V4_SWAP
from flasharb.units import Address, Hash32
from tests.support.arbitrage_receipts import BOT, SEARCHER, cycle, deposit, receipt, swap, transfer, withdrawal
from tests.support.service_fakes import CHEAP, DEAR, USDC, WETH, spec

KNOWN = Known(1, WETH, {pool: spec(pool) for pool in (CHEAP, DEAR)}, {})
USER, ROUTER, NOBODY = Address(b"\x77" * 20), Address(b"\x78" * 20), Address(bytes(20))


def won(one: BlockReceipt, value: int = 0) -> Arbitrage | None:
    candidate = candidate_of(one, KNOWN)
    return None if candidate is None else arbitrage_of(candidate, value, WETH)


def test_a_cycle_is_won_by_the_contract_that_was_called() -> None:
    found = won(receipt(0, cycle(10**18, 11 * 10**17)))
    assert found == Arbitrage(WETH, 10**17, None, (DEAR, CHEAP))


def test_the_tokens_come_from_the_transfers_where_nobody_knows_the_pools() -> None:
    candidate = candidate_of(receipt(0, cycle(10**18, 11 * 10**17)), replace(KNOWN, specs={}))
    assert candidate is not None
    assert candidate.told
    assert arbitrage_of(candidate, 0, WETH) == Arbitrage(WETH, 10**17, None, (DEAR, CHEAP))


def test_a_bid_that_was_unwrapped_and_sent_on_is_part_of_the_gross_profit() -> None:
    """No log shows where the ether went; that it was unwrapped shows that it was had."""
    found = won(receipt(0, (*cycle(10**18, 11 * 10**17), withdrawal(BOT, 9 * 10**16))))
    assert found is not None
    assert found.gross_profit == 10**17


def test_a_loss_and_a_failed_transaction_are_none() -> None:
    assert won(receipt(0, cycle(10**18, 10**18 - 1))) is None
    assert won(receipt(0, cycle(10**18, 11 * 10**17), status=0)) is None


def test_what_a_user_bought_with_ether_is_no_gain() -> None:
    """A router turns the user's ether through a cycle of pools and pays in dollars: only the value shows the price."""
    dollars = 2_000 * 10**6
    logs = (
        deposit(ROUTER, 10**18 + 10**15),
        *cycle(10**18, 10**18 - 10**15, bot=ROUTER),
        transfer(WETH, ROUTER, DEAR, 10**18),
        transfer(USDC, DEAR, USER, dollars),
        swap(DEAR, (10**18, 0, 0, dollars)),
    )
    one = receipt(0, logs, sender=USER, to=ROUTER)
    candidate = candidate_of(one, KNOWN)
    assert candidate is not None
    assert candidate.cyclic
    assert arbitrage_of(candidate, 10**18 + 10**15, WETH) is None


def test_ether_that_a_router_unwrapped_for_a_user_is_not_the_routers() -> None:
    """The user sells dollars through a cycle; the router unwraps the proceeds and sends them on, which no log shows."""
    dollars = 2_000 * 10**6
    logs = (
        transfer(USDC, USER, CHEAP, dollars),
        transfer(WETH, CHEAP, ROUTER, 10**18),
        swap(CHEAP, (0, dollars, 10**18, 0)),
        *cycle(10**18, 10**18 - 10**15, bot=ROUTER),
        withdrawal(ROUTER, 10**18 - 10**15),
    )
    one = receipt(0, logs, sender=USER, to=ROUTER)
    candidate = candidate_of(one, KNOWN)
    assert candidate is not None
    assert candidate.cyclic
    assert arbitrage_of(candidate, 0, WETH) is None


def test_the_changes_are_those_of_the_logs_and_nobody_mints() -> None:
    logs = (transfer(USDC, NOBODY, BOT, 5), deposit(BOT, 7), withdrawal(SEARCHER, 3))
    assert balance_changes(receipt(0, logs), 11, WETH) == {
        SEARCHER: {None: -11 + 3, WETH: -3},
        BOT: {None: 11 - 7, USDC: 5, WETH: 7},
    }


def test_an_earlier_transaction_that_moved_a_pool_is_noticed_and_a_later_one_is_not() -> None:
    arbitrage = receipt(1, cycle(10**18, 11 * 10**17))
    candidate = candidate_of(arbitrage, KNOWN)
    assert candidate is not None
    found = arbitrage_of(candidate, 0, WETH)
    assert found is not None
    trade = (transfer(WETH, USER, DEAR, 1), swap(DEAR, (1, 0, 0, 1)))
    assert seen(candidate, found, [receipt(0, trade), arbitrage]).moved_before
    assert not seen(candidate, found, [receipt(0, ()), arbitrage, receipt(2, trade)]).moved_before


def test_a_transaction_that_is_too_large_is_told_of_and_not_searched() -> None:
    """Thousands of logs cost their sender little; what it costs us is bounded."""
    many_logs = (*cycle(10**18, 11 * 10**17), *(transfer(USDC, USER, ROUTER, 1) for _ in range(MOST_LOGS)))
    many_swaps = cycle(10**18, 11 * 10**17) * MOST_SWAPS
    # Tokens that are minted and burned beside a change of liquidity: each pair of them may be a way through the pool.
    added = keccak(b"AddLiquidity(address,uint256[2],uint256[2],uint256,uint256)")
    minted = (transfer(Address(bytes([7, n]) * 10), NOBODY, NOBODY, 1) for n in range(200))
    many_ways = (*cycle(10**18, 11 * 10**17), *minted, Log(ROUTER, (Hash32(added),), b""))
    for logs in (many_logs, many_swaps, many_ways):
        candidate = candidate_of(receipt(0, logs), KNOWN)
        assert candidate is not None
        assert not candidate.told
        assert not candidate.cyclic


KEY = PoolKey(NOBODY, USDC, 500, 10)
MANAGER = Address(b"\x44" * 20)
NATIVE = spec_of(MANAGER, KEY, WETH)


def v4_swap(paid_wei: int, dollars: int) -> Log:
    """The manager's log counts from the swapper's side."""
    words = (-paid_wei, dollars, 1 << 96, 1, 0, 500)
    topics = (Hash32(V4_SWAP), Hash32(KEY.pool_id()), Hash32(BOT.rjust(32, b"\0")))
    return Log(MANAGER, topics, b"".join(one.to_bytes(32, "big", signed=True) for one in words))


def through_ether(paid_wei: int, got: int) -> tuple[Log, ...]:
    """WETH is unwrapped and paid into a pool of ether; what comes out is sold for WETH."""
    dollars = 2_000 * 10**6
    return (
        withdrawal(BOT, paid_wei),
        v4_swap(paid_wei, dollars),
        transfer(USDC, MANAGER, CHEAP, dollars),
        transfer(WETH, CHEAP, BOT, got),
        swap(CHEAP, (0, dollars, got, 0)),
    )


def test_ether_that_a_pool_took_is_no_gain() -> None:
    """No transfer shows it; the swap of a pool that we know does."""
    known = replace(KNOWN, specs={**KNOWN.specs, NATIVE.address: NATIVE})
    candidate = candidate_of(receipt(0, through_ether(10**18, 11 * 10**17)), known)
    assert candidate is not None
    found = arbitrage_of(candidate, 0, WETH)
    assert found is not None
    assert (found.token, found.gross_profit) == (WETH, 10**17)
    assert set(found.path) == {KEY.pool_id(), CHEAP}


def test_a_pool_of_ether_that_nobody_knows_leaves_the_transaction_untold() -> None:
    candidate = candidate_of(receipt(0, through_ether(10**18, 11 * 10**17)), KNOWN)
    assert candidate is not None
    assert not candidate.told
    assert not candidate.cyclic
