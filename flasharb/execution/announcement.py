"""What others on the bus hear of us: a signal when a trade is found, a result when it has ended.

Money in a signal is in US dollars with 8 decimals, priced by the market itself; a trade whose base token has no price
is not announced.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from flasharb.execution.outcome import RESULT_CODES, DryRun, FinalOutcome, Included, Reverted
from flasharb.feed.messages import ArbitrageSignal, FlashLoanResult
from flasharb.feed.records import ARBITRAGE_STRATEGY
from flasharb.market.index import venue_of
from flasharb.market.prices import NoPrice
from flasharb.settings import Settings
from flasharb.strategy.profit import Costs
from flasharb.strategy.trade import Trade
from flasharb.units import BPS, Address

_E8: Final = 10**8
_I64: Final = 2**63 - 1
_U16: Final = 2**16 - 1
_NO_HASH: Final = bytes(32)


def signal_of(
    trade: Trade, costs: Costs, settings: Settings, *, timestamp_ns: int, valid_until_s: int
) -> ArbitrageSignal | None:
    """The signal of a sized trade, None where its base token has no USD price.

    The pools' own fees are in the amounts already; ``dex_fees`` holds the loan's fee.
    """
    profit = _usd_e8(costs, trade.base_token, trade.gross_profit)
    capital = _usd_e8(costs, trade.base_token, trade.amount_in)
    fees = _usd_e8(costs, trade.base_token, trade.loan_fee)
    gas = _usd_e8(costs, costs.wrapped_native, trade.gas_estimate * costs.base_fee_per_gas)
    if profit is None or capital is None or fees is None or gas is None:
        return None
    spread_bps = min(trade.gross_profit * BPS // trade.amount_in, _U16)
    first, last = trade.hops[0], trade.hops[-1]
    return ArbitrageSignal(
        strategy_id=ARBITRAGE_STRATEGY,
        signal_id=timestamp_ns,
        chain_id=settings.chain.id,
        source_pool=first.hop.pool,
        target_pool=last.hop.pool,
        source_venue=venue_of(first.protocol),
        target_venue=venue_of(last.protocol),
        token_in=trade.base_token,
        token_out=first.hop.token_out,
        expected_profit_e8=profit,
        required_capital_e8=capital,
        spread_bps=spread_bps,
        dex_fees_e8=fees,
        gas_cost_e8=gas,
        slippage_e8=0,
        net_profit_e8=profit - fees - gas,
        slippage_tolerance_bps=settings.strategy.slippage_tolerance_bps,
        max_gas_gwei=int(settings.mev.max_gas_price_gwei),
        valid_until_s=valid_until_s,
        priority=min(spread_bps * 10, _U16),
        timestamp_ns=timestamp_ns,
    )


def result_of(outcome: FinalOutcome, chain_id: int) -> FlashLoanResult:
    """The result of a trade that has ended."""
    ran = outcome if isinstance(outcome, Included | DryRun | Reverted) else None
    return FlashLoanResult(
        outcome=RESULT_CODES[type(outcome)],
        strategy_id=ARBITRAGE_STRATEGY,
        chain_id=chain_id,
        opportunity_id=outcome.id,
        tx_hash=getattr(outcome, "tx_hash", None) or _NO_HASH,
        block_number=outcome.block_number,
        gas_used=ran.gas_used if ran else 0,
        effective_gas_price_wei=ran.effective_gas_price if ran else 0,
        net_profit_wei=ran.net_profit_wei if ran else 0,
        latency_ns=getattr(outcome, "latency_ns", 0),
    )


def _usd_e8(costs: Costs, token: Address, amount: int) -> int | None:
    worth = costs.prices.usd(token, amount)
    if isinstance(worth, NoPrice):
        return None
    return min(int(worth * Decimal(_E8)), _I64)
