"""What receipts tell of an arbitrage, and what they are not taken for."""

from __future__ import annotations

from flasharb.simulation.arbitrage import Arbitrage
from flasharb.simulation.receipts import BlockReceipt, arbitrage_of, balance_changes, candidate_of, seen
from flasharb.units import Address
from tests.support.arbitrage_receipts import BOT, SEARCHER, cycle, deposit, receipt, swap, transfer, withdrawal
from tests.support.service_fakes import CHEAP, DEAR, USDC, WETH, spec

SPECS = {pool: spec(pool) for pool in (CHEAP, DEAR)}
USER, ROUTER = Address(b"\x77" * 20), Address(b"\x78" * 20)


def won(one: BlockReceipt, value: int = 0) -> Arbitrage | None:
    candidate = candidate_of(one, SPECS, 1, WETH)
    return None if candidate is None else arbitrage_of(candidate, value, WETH)


def test_a_cycle_is_won_by_the_contract_that_was_called() -> None:
    found = won(receipt(0, cycle(10**18, 11 * 10**17)))
    assert found == Arbitrage(WETH, 10**17, None, (DEAR, CHEAP))


def test_the_tokens_come_from_the_transfers_where_nobody_knows_the_pools() -> None:
    candidate = candidate_of(receipt(0, cycle(10**18, 11 * 10**17)), {}, 1, WETH)
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
    candidate = candidate_of(one, SPECS, 1, WETH)
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
    candidate = candidate_of(one, SPECS, 1, WETH)
    assert candidate is not None
    assert candidate.cyclic
    assert arbitrage_of(candidate, 0, WETH) is None


def test_the_changes_are_those_of_the_logs_and_nobody_mints() -> None:
    nobody = Address(bytes(20))
    logs = (transfer(USDC, nobody, BOT, 5), deposit(BOT, 7), withdrawal(SEARCHER, 3))
    assert balance_changes(receipt(0, logs), 11, WETH) == {
        SEARCHER: {None: -11 + 3, WETH: -3},
        BOT: {None: 11 - 7, USDC: 5, WETH: 7},
    }


def test_an_earlier_transaction_that_moved_a_pool_is_noticed_and_a_later_one_is_not() -> None:
    arbitrage = receipt(1, cycle(10**18, 11 * 10**17))
    candidate = candidate_of(arbitrage, SPECS, 1, WETH)
    assert candidate is not None
    found = arbitrage_of(candidate, 0, WETH)
    assert found is not None
    trade = (transfer(WETH, USER, DEAR, 1), swap(DEAR, (1, 0, 0, 1)))
    assert seen(candidate, found, [receipt(0, trade), arbitrage]).moved_before
    assert not seen(candidate, found, [receipt(0, ()), arbitrage, receipt(2, trade)]).moved_before
