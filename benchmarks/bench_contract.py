"""Gas of FlashArb on the four two-pool routes, against code that is hard-wired and checks nothing.

Whole transactions (type 2) in a fresh block, on the real pool bytecode, the contract's second execution with 1 wei of
WETH in it, no payment to the builder unless named. The peer runs the same trade on the same state.
"""

from __future__ import annotations

from typing import Any

from tests.support.hard_limit import limit_gas, measured_world

SHAPES = (("v2", "v2"), ("v2", "v3"), ("v3", "v2"), ("v3", "v3"))
PEER = "hard limit (executor.md), in the same world"


def rows() -> list[dict[str, Any]]:
    """One row a route and way of checking the profit."""
    found = []
    for shape in SHAPES:
        world, trade = measured_world(shape)
        limit = limit_gas(world, trade)
        bid = trade.gross_profit // 2
        ways: dict[str, dict[str, object]] = {
            "growth": {},
            "floor": {"balance_before": 1},
            "growth, bid unwrapped": {"bid_wei": bid},
        }
        for name, terms in ways.items():
            gas = world.execute(trade, min_profit=trade.gross_profit * 995 // 1000, **terms).gas_used
            world.restart_block()
            found.append(
                {
                    "case": f"{'>'.join(shape).upper()}, {name}",
                    "value": gas,
                    "unit": "gas",
                    "peer": PEER,
                    "peer_value": limit,
                    "ratio": limit / gas,
                }
            )
    return found
