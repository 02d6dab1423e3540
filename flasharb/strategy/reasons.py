"""The fixed words of ``Rejected.reason``: each counts, each means one thing.

Pools that are left out of the search altogether have words of their own: ``market.filters.Cause``.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an opportunity or trade went no further."""

    POOL_GONE = "pool_gone"
    """A pool of the cycle left the market (withdrawn, retired, unreliable) since it was found."""

    NO_PROFIT = "no_profit"
    """No whole input gives more than it takes: the marginal gain is lost in rounding, fees or the loan's fee."""

    POSITION_TOO_SMALL = "position_too_small"
    """``strategy.max_position_pct`` leaves no input that gains anything."""

    RANGE_UNKNOWN = "range_unknown"
    """No input gains anything within the ticks that are loaded."""

    NO_PRICE_FOR_PROFIT = "no_price_for_profit"
    """``strategy.min_profit_usd`` is set and the base token or ETH has no USD price."""

    NO_PRICE_FOR_GAS = "no_price_for_gas"
    """The base token is not wrapped ETH, and the market gives no rate between the two: gas cannot be charged."""

    BELOW_MIN_PROFIT = "below_min_profit"
    """Net of loan fee, gas and bid, less than ``strategy.min_profit_usd`` remains (or less than nothing)."""

    GAS_PRICE_ABOVE_CAP = "gas_price_above_cap"
    """Base fee and tip together exceed ``mev.max_gas_price_gwei``."""

    GAS_ABOVE_LIMIT = "gas_above_limit"
    """The transaction needs more gas than ``simulation.gas_limit``."""

    CONFLICTS_WITH_BETTER = "conflicts_with_better"
    """A better trade of the same block uses one of its pools."""

    OVER_BLOCK_LIMIT = "over_block_limit"
    """``strategy.max_trades_per_block`` better trades were taken."""
