"""The final terms of a trade, once a simulation without a bid has measured its gross profit and its gas.

The bid is a share (``mev.bid_share_bps``) of what remains after gas. A profit in wrapped ETH pays it to the fee
recipient directly, which costs gas of its own; any other, or where configured, pays it as priority fee. The contract
is told the least growth of its balance: the measured one less ``slippage_tolerance_bps`` of it, and never so little
that gas and bid eat all of it. The tolerance says nothing about fees or price impact: both are in the measured profit.

``terms`` estimates what the bid's own payment adds to the gas; the exact transaction is simulated again, and
``confirm`` judges it by that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from flasharb.market.prices import NoPrice
from flasharb.settings import Settings
from flasharb.strategy.gas import COINBASE_PAYMENT_GAS
from flasharb.strategy.profit import Costs, gas_price_cap, too_little
from flasharb.strategy.reasons import Reason
from flasharb.strategy.trade import Rejected, Trade
from flasharb.units import BPS

_SPARE_GAS: Final = 25_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What a simulation of the trade showed.

    ``gross_profit`` is the growth of the executor's base-token balance after the loan is repaid, with any bid that was
    paid out of it added back, in the base token's smallest unit; ``gas_used`` the transaction's, refunds taken off.
    """

    gross_profit: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How the transaction is to be written. Wei, except ``min_profit``.

    ``min_profit``: least growth of the contract's balance after repayment and before the bid, in the base token's
    smallest unit. ``coinbase_wei``: what the contract pays the fee recipient. ``bid_wei``: the whole bid, either that
    or the priority fee times gas. ``net_profit_wei`` is after gas and bid.
    """

    min_profit: int
    coinbase_wei: int
    bid_wei: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    gas_limit: int
    net_profit_wei: int


def terms(trade: Trade, measured: Measured, costs: Costs, settings: Settings) -> Terms | Rejected:
    """The terms of the trade, or why it is not worth sending."""
    gross = costs.wei(trade.base_token, measured.gross_profit)
    if isinstance(gross, NoPrice):
        return _rejected(trade, Reason.NO_PRICE_FOR_GAS, str(gross))
    coinbase = pays_coinbase(trade, costs, settings)
    gas_used = measured.gas_used + (COINBASE_PAYMENT_GAS if coinbase else 0)
    gas_cost = gas_used * costs.base_fee_per_gas
    share = max(gross - gas_cost, 0) * settings.mev.bid_share_bps // BPS
    tip = 0 if coinbase else share // gas_used
    bid = share if coinbase else tip * gas_used
    net = gross - gas_cost - bid
    failed = (
        _above_cap(costs.base_fee_per_gas, tip, settings)
        or _too_much_gas(gas_used, settings)
        or too_little(net, costs, settings.strategy)
    )
    if failed is not None:
        return _rejected(trade, *failed)
    must_cover = costs.in_token(trade.base_token, gas_cost + bid)
    if isinstance(must_cover, NoPrice):
        return _rejected(trade, Reason.NO_PRICE_FOR_GAS, str(must_cover))
    tolerated = measured.gross_profit * settings.strategy.slippage_tolerance_bps // BPS
    return Terms(
        min_profit=max(measured.gross_profit - tolerated, must_cover),
        coinbase_wei=bid if coinbase else 0,
        bid_wei=bid,
        max_fee_per_gas=costs.base_fee_per_gas + tip,
        max_priority_fee_per_gas=tip,
        gas_limit=gas_limit(gas_used, settings.simulation.gas_limit),
        net_profit_wei=net,
    )


def confirm(trade: Trade, agreed: Terms, measured: Measured, costs: Costs, settings: Settings) -> Terms | Rejected:
    """The terms with the net profit of the exact transaction's own simulation, or why it is not worth sending."""
    gross = costs.wei(trade.base_token, measured.gross_profit)
    if isinstance(gross, NoPrice):
        return _rejected(trade, Reason.NO_PRICE_FOR_GAS, str(gross))
    tips = measured.gas_used * agreed.max_priority_fee_per_gas
    net = gross - measured.gas_used * costs.base_fee_per_gas - tips - agreed.coinbase_wei
    failed = too_little(net, costs, settings.strategy)
    if failed is not None:
        return _rejected(trade, *failed)
    return replace(agreed, net_profit_wei=net, bid_wei=agreed.coinbase_wei + tips)


def pays_coinbase(trade: Trade, costs: Costs, settings: Settings) -> bool:
    """Whether the bid is paid by the contract: only wrapped ETH can be, and only where a bid is asked for."""
    wanted = settings.mev.bid_payment != "priority_fee" and settings.mev.bid_share_bps > 0
    return wanted and trade.base_token == costs.wrapped_native


def gas_limit(gas_used: int, most: int) -> int:
    """Room for the gas that refunds give back only at the end (a fifth) and for small differences of state."""
    return min(gas_used * 3 // 2 + _SPARE_GAS, most)


def _above_cap(base_fee_per_gas: int, tip: int, settings: Settings) -> tuple[Reason, str] | None:
    cap = gas_price_cap(settings.mev)
    if base_fee_per_gas + tip <= cap:
        return None
    detail = f"base fee {base_fee_per_gas} + tip {tip} wei, mev.max_gas_price_gwei allows {cap} wei"
    return Reason.GAS_PRICE_ABOVE_CAP, detail


def _too_much_gas(gas_used: int, settings: Settings) -> tuple[Reason, str] | None:
    if gas_used <= settings.simulation.gas_limit:
        return None
    return Reason.GAS_ABOVE_LIMIT, f"needs {gas_used} gas, simulation.gas_limit allows {settings.simulation.gas_limit}"


def _rejected(trade: Trade, reason: Reason, detail: str) -> Rejected:
    return Rejected(trade.id, reason, detail, trade.block_number)
