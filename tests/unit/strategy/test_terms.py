"""Profit and final terms in exact integers, at the edges."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasharb.market.prices import NoPrice, usd_prices
from flasharb.pools import PoolSpec
from flasharb.settings import Mev, Settings, Simulation, Strategy
from flasharb.strategy.gas import COINBASE_PAYMENT_GAS, gas_estimate
from flasharb.strategy.profit import Costs, estimate, gas_price_cap, least_net_profit_wei
from flasharb.strategy.reasons import Reason
from flasharb.strategy.terms import Measured, Terms, confirm, terms
from flasharb.strategy.trade import Hop, Rejected, Trade, TradeHop
from flasharb.units import Address
from tests.support.market_samples import DAI, USDC, WETH, address_of, market, v2

ETHER = 10**18
GWEI = 10**9
PRICED = market(v2("eth", (WETH.address, 1000 * ETHER), (USDC.address, 3_000_000 * 10**6)))
UNPRICED = market()


def costs(base_fee: int = 10 * GWEI, snapshot: object = PRICED) -> Costs:
    prices = usd_prices(snapshot, (USDC.address,), WETH.address)  # type: ignore[arg-type]
    return Costs(base_fee, WETH.address, prices)


def trade(gross: int = ETHER // 10, base: Address = WETH.address, fee: int = 0) -> Trade:
    specs = [PoolSpec(address_of(f), f, (base, DAI.address), 3000) for f in ("uniswap_v2", "uniswap_v3")]
    there = Hop(specs[0].address, base, DAI.address)
    back = Hop(specs[1].address, DAI.address, base)
    hops = (TradeHop(there, specs[0], ETHER, 5), TradeHop(back, specs[1], 5, ETHER + gross))
    return Trade(3, base, hops, gross, fee, gas_estimate(hops), 0, 100)


def settings(**changes: object) -> Settings:
    """Settings with some keys of strategy, mev or simulation changed."""
    tables: dict[str, Any] = {"strategy": Strategy, "mev": Mev, "simulation": Simulation}
    return Settings(
        **{
            name: table(**{key: value for key, value in changes.items() if hasattr(table(), key)})
            for name, table in tables.items()
        }
    )


def agreed(
    gross: int = ETHER // 10,
    gas: int = 150_000,
    base: Address = WETH.address,
    at: Costs | None = None,
    **changes: object,
) -> Terms:
    result = terms(trade(gross, base), Measured(gross, gas), at or costs(), settings(**changes))
    assert isinstance(result, Terms), result
    return result


def refused(
    gross: int = ETHER // 10,
    gas: int = 150_000,
    base: Address = WETH.address,
    at: Costs | None = None,
    **changes: object,
) -> Reason | str:
    result = terms(trade(gross, base), Measured(gross, gas), at or costs(), settings(**changes))
    assert isinstance(result, Rejected), result
    return result.reason


def test_wrapped_eth_bids_directly_out_of_the_profit() -> None:
    result = agreed(bid_share_bps=5000)
    gas_cost = (150_000 + COINBASE_PAYMENT_GAS) * 10 * GWEI
    bid = (ETHER // 10 - gas_cost) // 2
    assert result == Terms(
        min_profit=ETHER // 10 - ETHER // 10 * 50 // 10_000,
        coinbase_wei=bid,
        bid_wei=bid,
        max_fee_per_gas=10 * GWEI,
        max_priority_fee_per_gas=0,
        gas_limit=(150_000 + COINBASE_PAYMENT_GAS) * 3 // 2 + 25_000,
        net_profit_wei=ETHER // 10 - gas_cost - bid,
    )


def test_priority_fee_where_configured() -> None:
    result = agreed(bid_share_bps=5000, bid_payment="priority_fee", max_gas_price_gwei=1000)
    tip = (ETHER // 10 - 150_000 * 10 * GWEI) // 2 // 150_000
    assert (result.max_priority_fee_per_gas, result.coinbase_wei) == (tip, 0)
    assert result.bid_wei == tip * 150_000
    assert result.max_fee_per_gas == 10 * GWEI + tip
    assert result.net_profit_wei == ETHER // 10 - 150_000 * (10 * GWEI + tip)


@pytest.mark.parametrize("payment", ["auto", "coinbase"])
def test_another_base_token_bids_by_priority_fee(payment: str) -> None:
    """300 USDC = 0.1 ETH; only wrapped ETH can be unwrapped for the fee recipient."""
    result = agreed(300 * 10**6, base=USDC.address, bid_payment=payment, max_gas_price_gwei=1000)
    assert result.coinbase_wei == 0
    assert result.max_priority_fee_per_gas == (ETHER // 10 - 150_000 * 10 * GWEI) // 2 // 150_000
    assert result.min_profit == 300 * 10**6 - 300 * 10**6 * 50 // 10_000, "in USDC"


def test_no_bid_costs_no_gas_for_paying_it() -> None:
    result = agreed(bid_share_bps=0)
    assert (result.bid_wei, result.coinbase_wei, result.max_priority_fee_per_gas) == (0, 0, 0)
    assert result.net_profit_wei == ETHER // 10 - 150_000 * 10 * GWEI


def test_the_least_growth_covers_gas_and_bid() -> None:
    """With a wide tolerance the contract would let a loss pass; the floor is what gas and bid cost."""
    result = agreed(slippage_tolerance_bps=10_000)
    gas_cost = (150_000 + COINBASE_PAYMENT_GAS) * 10 * GWEI
    assert result.min_profit == gas_cost + result.bid_wei
    in_usdc = agreed(300 * 10**6, base=USDC.address, slippage_tolerance_bps=10_000, max_gas_price_gwei=1000)
    spent = 150_000 * in_usdc.max_fee_per_gas
    assert in_usdc.min_profit * ETHER >= spent * 3000 * 10**6, "rounded up"
    assert (in_usdc.min_profit - 1) * ETHER < spent * 3000 * 10**6


def test_the_gas_price_cap_is_exact() -> None:
    assert gas_price_cap(Mev(max_gas_price_gwei=0.1)) == 10**8
    assert agreed(max_gas_price_gwei=10).max_fee_per_gas == 10 * GWEI
    assert refused(at=costs(10 * GWEI + 1), max_gas_price_gwei=10) == "gas_price_above_cap"
    tip = (ETHER // 10 - 150_000 * 10 * GWEI) // 2 // 150_000
    exact = (10 * GWEI + tip) / GWEI
    assert agreed(bid_payment="priority_fee", max_gas_price_gwei=round(exact + 1e-6, 6)).max_priority_fee_per_gas == tip
    assert refused(bid_payment="priority_fee", max_gas_price_gwei=round(exact - 1e-6, 6)) == "gas_price_above_cap"


def test_the_least_profit_is_exact() -> None:
    """Net after gas and bid, in USD at the market's price."""
    net = agreed(min_profit_usd=0).net_profit_wei
    usd = Decimal(net) * 3000 / ETHER
    assert agreed(min_profit_usd=float(usd) * 0.9999999).net_profit_wei == net
    assert refused(min_profit_usd=float(usd) * 1.0000001) == "below_min_profit"
    gas_cost = (150_000 + COINBASE_PAYMENT_GAS) * 10 * GWEI
    assert refused(gas_cost, min_profit_usd=0) == "below_min_profit", "nothing left is not a profit"
    assert agreed(gas_cost + 1, min_profit_usd=0).net_profit_wei == 1


def test_without_a_price_nothing_passes_silently() -> None:
    unpriced = costs(snapshot=UNPRICED)
    assert refused(at=unpriced, min_profit_usd=0.5) == "no_price_for_profit"
    assert agreed(at=unpriced, min_profit_usd=0).net_profit_wei > 0, "no USD figure is asked for"
    assert refused(300 * 10**6, base=USDC.address, at=unpriced, min_profit_usd=0) == "no_price_for_gas"
    before = estimate(trade(300 * 10**6, USDC.address), unpriced, Strategy(), Mev())
    assert isinstance(before, Rejected)
    assert before.reason == "no_price_for_gas"


def test_too_much_gas_is_named() -> None:
    assert refused(gas=3_000_000, gas_limit=3_000_000) == "gas_above_limit"
    assert agreed(gas=2_900_000, gas_limit=3_000_000).gas_limit == 3_000_000


def test_the_estimate_takes_off_fee_gas_and_bid() -> None:
    result = estimate(trade(fee=10**15), costs(), Strategy(), Mev(bid_share_bps=2500))
    assert isinstance(result, Trade)
    after_gas = ETHER // 10 - 10**15 - result.gas_estimate * 10 * GWEI
    assert result.net_profit_wei_estimate == after_gas - after_gas * 2500 // 10_000
    capped = estimate(trade(), costs(), Strategy(), Mev(max_gas_price_gwei=9))
    assert isinstance(capped, Rejected)
    assert capped.reason == "gas_price_above_cap"
    poor = estimate(trade(10**14), costs(), Strategy(), Mev())
    assert isinstance(poor, Rejected)
    assert poor.reason == "below_min_profit"


def test_the_exact_transaction_has_the_last_word() -> None:
    chosen = settings(bid_share_bps=5000)
    first = terms(trade(), Measured(ETHER // 10, 150_000), costs(), chosen)
    assert isinstance(first, Terms)
    second = confirm(trade(), first, Measured(ETHER // 10, 160_000), costs(), chosen)
    assert second == replace(first, net_profit_wei=ETHER // 10 - 160_000 * 10 * GWEI - first.coinbase_wei)
    lost = confirm(trade(), first, Measured(ETHER // 20, 160_000), costs(), chosen)
    assert isinstance(lost, Rejected)
    assert lost.reason == "below_min_profit"


@given(
    gross=st.integers(1, 10**21),
    gas=st.integers(21_000, 2_000_000),
    base_fee=st.integers(0, 10**11),
    share=st.integers(0, 10_000),
    tolerance=st.integers(0, 10_000),
    payment=st.sampled_from(["auto", "priority_fee"]),
    in_usdc=st.booleans(),
)
def test_whatever_is_agreed_leaves_a_profit_and_adds_up(
    gross: int, gas: int, base_fee: int, share: int, tolerance: int, payment: str, in_usdc: bool
) -> None:
    base = USDC.address if in_usdc else WETH.address
    gross = gross // 10**9 if in_usdc else gross
    at = costs(base_fee)
    chosen = settings(
        min_profit_usd=0,
        bid_share_bps=share,
        slippage_tolerance_bps=tolerance,
        bid_payment=payment,
        max_gas_price_gwei=1_000_000,
    )
    result = terms(trade(gross, base), Measured(gross, gas), at, chosen)
    if isinstance(result, Rejected):
        assert result.reason in ("below_min_profit", "gas_price_above_cap")
        return
    gross_wei = at.wei(base, gross)
    assert isinstance(gross_wei, int)
    direct = payment == "auto" and share > 0 and not in_usdc
    gas_used = gas + (COINBASE_PAYMENT_GAS if direct else 0)
    assert result.bid_wei == result.coinbase_wei + gas_used * result.max_priority_fee_per_gas
    assert gross_wei == result.net_profit_wei + result.bid_wei + gas_used * base_fee
    assert result.net_profit_wei > 0
    assert result.max_fee_per_gas == base_fee + result.max_priority_fee_per_gas
    assert result.coinbase_wei <= result.min_profit <= gross
    # at the least growth that the contract lets pass, gas and bid are still covered
    least = at.wei(base, result.min_profit + in_usdc)
    assert isinstance(least, int)
    assert least >= gas_used * base_fee + result.bid_wei


def test_without_a_price_the_exact_transaction_is_not_judged_either() -> None:
    chosen = settings(min_profit_usd=0, max_gas_price_gwei=1000)
    first = terms(trade(300 * 10**6, USDC.address), Measured(300 * 10**6, 150_000), costs(), chosen)
    assert isinstance(first, Terms)
    lost = confirm(
        trade(300 * 10**6, USDC.address), first, Measured(300 * 10**6, 150_000), costs(snapshot=UNPRICED), chosen
    )
    assert isinstance(lost, Rejected)
    assert lost.reason == "no_price_for_gas"


def test_the_least_profit_in_wei_is_rounded_up() -> None:
    assert least_net_profit_wei(costs(), Strategy(min_profit_usd=3)) == 10**15
    assert least_net_profit_wei(costs(), Strategy(min_profit_usd=1)) == 10**18 // 3000 + 1
    assert least_net_profit_wei(costs(), Strategy(min_profit_usd=0)) == 0
    assert isinstance(least_net_profit_wei(costs(snapshot=UNPRICED), Strategy(min_profit_usd=1)), NoPrice)
