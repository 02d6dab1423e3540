"""What a trade leaves: gross profit, less the loan's fee, gas and the bid, in wei.

Profit in another base token than wrapped ETH is valued by the market's own prices, rounded down; costs are rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from flasharb.market.prices import NoPrice, Prices
from flasharb.settings import Mev, Strategy
from flasharb.strategy.reasons import Reason
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import BPS, WEI_PER_GWEI, Address


@dataclass(frozen=True, slots=True)
class Costs:
    """What fixes the price of a transaction in the target block.

    ``base_fee_per_gas`` is exactly the target block's, in wei.
    """

    base_fee_per_gas: int
    wrapped_native: Address
    prices: Prices

    def wei(self, token: Address, amount: int) -> int | NoPrice:
        """An amount of a base token in wei, rounded down."""
        if token == self.wrapped_native:
            return amount
        rate = self.prices.rate(token, self.wrapped_native)
        return rate if isinstance(rate, NoPrice) else int((amount * rate).to_integral_value(ROUND_FLOOR))

    def in_token(self, token: Address, wei: int) -> int | NoPrice:
        """A cost in wei as an amount of a base token, rounded up."""
        if token == self.wrapped_native:
            return wei
        rate = self.prices.rate(self.wrapped_native, token)
        return rate if isinstance(rate, NoPrice) else int((wei * rate).to_integral_value(ROUND_CEILING))


def gas_price_cap(mev: Mev) -> int:
    """``mev.max_gas_price_gwei`` in wei."""
    return int(Decimal(str(mev.max_gas_price_gwei)) * WEI_PER_GWEI)


def too_little(net_profit_wei: int, costs: Costs, settings: Strategy) -> tuple[Reason, str] | None:
    """Why a net profit is not enough: nothing left, or less than ``min_profit_usd``; None if it is enough."""
    if net_profit_wei <= 0:
        return Reason.BELOW_MIN_PROFIT, f"net {net_profit_wei} wei"
    least = Decimal(str(settings.min_profit_usd))
    if not least:
        return None
    usd = costs.prices.usd(costs.wrapped_native, net_profit_wei)
    if isinstance(usd, NoPrice):
        return Reason.NO_PRICE_FOR_PROFIT, str(usd)
    if usd < least:
        return Reason.BELOW_MIN_PROFIT, f"net {net_profit_wei} wei = {usd:.4f} USD, least {least} USD"
    return None


def least_net_profit_wei(costs: Costs, settings: Strategy) -> int | NoPrice:
    """``min_profit_usd`` in wei, rounded up."""
    least = Decimal(str(settings.min_profit_usd))
    if not least:
        return 0
    wei = costs.prices.units(costs.wrapped_native, least)
    return wei if isinstance(wei, NoPrice) else int(wei.to_integral_value(ROUND_CEILING))


def after_gas(trade: Trade, costs: Costs) -> int:
    """What the least gas leaves of the gain, in wei; without a price for the gain, what gas costs is all there is."""
    gain = costs.wei(trade.base_token, trade.gross_profit - trade.loan_fee)
    return (0 if isinstance(gain, NoPrice) else gain) - trade.gas_estimate * costs.base_fee_per_gas


def estimate(trade: Trade, costs: Costs, strategy: Strategy, mev: Mev) -> Trade | Rejected:
    """The trade with its net profit before any simulation, or why it cannot be worth one.

    The gas estimate is a least one, so what is rejected here would fail after a simulation too.
    """
    cap = gas_price_cap(mev)
    if costs.base_fee_per_gas > cap:
        detail = f"base fee {costs.base_fee_per_gas} wei, mev.max_gas_price_gwei allows {cap} wei"
        return Rejected(trade.id, Reason.GAS_PRICE_ABOVE_CAP, detail, trade.block_number)
    gain = costs.wei(trade.base_token, trade.gross_profit - trade.loan_fee)
    if isinstance(gain, NoPrice):
        return Rejected(trade.id, Reason.NO_PRICE_FOR_GAS, str(gain), trade.block_number)
    left = after_gas(trade, costs)
    net = left - max(left, 0) * mev.bid_share_bps // BPS
    failed = too_little(net, costs, strategy)
    if failed is not None:
        return Rejected(trade.id, *failed, trade.block_number)
    return replace(trade, net_profit_wei_estimate=net)
