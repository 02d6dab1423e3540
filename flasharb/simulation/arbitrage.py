"""Was it an arbitrage? A closed cycle over at least two pools, and somebody on the searcher's side ends with more.

The cycle is looked for among the swaps and the mints and burns of liquidity tokens that link them (a Curve position
bought for one token and redeemed for another is a leg like a swap, though no swap event). Profit is the measured
change of balances, before gas and before what the fee recipient is paid directly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from eth_hash.auto import keccak

from flasharb.simulation.result import Executed, Log
from flasharb.simulation.swaps import TRANSFER, Swap
from flasharb.units import ZERO_ADDRESS, Address

DUST_SHARE: Final = Fraction(1, 1000)
"""A loss below this share of the gain's value does not count."""

_LIQUIDITY_TOPICS: Final = frozenset(
    keccak(f"{event}({arguments})".encode())
    for event, arguments in (
        *(("RemoveLiquidityOne", "address," + ",".join(["uint256"] * count)) for count in (2, 3, 4, 5)),
        *(
            (event, f"address,uint256[{size}],uint256[{size}],uint256,uint256")
            for event in ("AddLiquidity", "RemoveLiquidityImbalance")
            for size in (2, 3, 4)
        ),
        *(("RemoveLiquidity", f"address,uint256[{size}],uint256[{size}],uint256") for size in (2, 3, 4)),
        ("RemoveLiquidity", "address,uint256[2],uint256"),
        ("RemoveLiquidity", "address,uint256[3],uint256"),
    )
)


@dataclass(frozen=True, slots=True)
class Arbitrage:
    """What was won. ``gross_profit`` in the token's smallest unit, before gas and bid; ``net_profit_wei`` after both,
    None where the token's price in ETH is not known. ``path`` are the pools in the order the money went."""

    token: Address
    gross_profit: int
    net_profit_wei: int | None
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """A way of value through a pool: a swap, or (``swap`` None) a liquidity token minted or burned."""

    pool: bytes
    token_in: Address
    token_out: Address
    swap: Swap | None


@dataclass(frozen=True, slots=True)
class Effects:
    """What a transaction from ``sender`` to the contract ``called`` did to balances, before gas and bid.

    ``changes[account][token]`` in the token's smallest unit, None is ether. ``cost_wei``: gas and bid, None where the
    bid is not known. ``ether_seen``: whether the changes hold all ether that moved; where they do not (logs do not show
    it), ether that an account seems to have kept is not taken for its gain.
    """

    sender: Address
    called: Address | None
    logs: Sequence[Log]
    changes: Mapping[Address, Mapping[Address | None, int]]
    cost_wei: int | None
    ether_seen: bool


def classify(
    executed: Executed,
    swaps: Sequence[Swap],
    sender: Address,
    called: Address | None,
    base_fee_per_gas: int,
    wrapped_native: Address,
) -> Arbitrage | None:
    """The arbitrage that an executed transaction from ``sender`` to the contract ``called`` was, or None."""
    if executed.status != 1:
        return None
    gas = executed.gas_used * executed.effective_gas_price
    direct = _paid_directly(executed, base_fee_per_gas)
    changes = {account: dict(tokens) for account, tokens in executed.balance_changes.items()}
    # A bid is paid by the contract that trades, or by the sender where no contract is called.
    for account, paid in ((sender, gas), (called or sender, direct)):
        held = changes.setdefault(account, {})
        held[None] = held.get(None, 0) + paid
    return judge(Effects(sender, called, executed.logs, changes, gas + direct, True), swaps, wrapped_native)


def judge(effects: Effects, swaps: Sequence[Swap], wrapped_native: Address) -> Arbitrage | None:
    """The arbitrage that a successful transaction with these effects and swaps was, or None."""
    cycle = cycle_of(effects.logs, swaps, wrapped_native)
    if not cycle:
        return None
    prices = _prices(swaps, wrapped_native)
    side = _searchers_side(effects, cycle)
    best: tuple[Fraction, Address, int] | None = None
    for accounts in (side, *((account,) for account in side)):
        whole = effects.ether_seen or accounts == side
        found = _won(_joined(effects, accounts, wrapped_native, whole), prices, wrapped_native)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is None:
        return None
    worth, token, amount = best
    net = int(worth) - effects.cost_wei if effects.cost_wei is not None and token in prices else None
    return Arbitrage(token, amount, net, _path(cycle, token))


def cycle_of(logs: Sequence[Log], swaps: Sequence[Swap], wrapped_native: Address) -> list[Leg]:
    """The swaps that are part of a closed cycle over at least two pools; empty where there is none."""
    if len({swap.pool for swap in swaps}) < 2:
        return []
    legs = _legs(logs, swaps, wrapped_native)
    cycle = [leg for leg in legs if leg.swap is not None and _closes(leg, legs)]
    return cycle if len({leg.pool for leg in cycle}) >= 2 else []


def _known(swap: Swap) -> bool:
    return swap.token_in is not None and swap.token_out is not None


def _same(token: Address, wrapped_native: Address) -> Address:
    return wrapped_native if token == ZERO_ADDRESS else token


def _leg(swap: Swap, wrapped_native: Address) -> Leg:
    assert swap.token_in is not None
    assert swap.token_out is not None
    return Leg(swap.pool, _same(swap.token_in, wrapped_native), _same(swap.token_out, wrapped_native), swap)


def _legs(logs: Sequence[Log], swaps: Sequence[Swap], wrapped_native: Address) -> list[Leg]:
    legs = [_leg(swap, wrapped_native) for swap in swaps if _known(swap)]
    for log in logs:
        if log.topics and log.topics[0] in _LIQUIDITY_TOPICS:
            legs += _liquidity_legs(log.address, logs)
    return legs


def _liquidity_legs(pool: Address, logs: Sequence[Log]) -> list[Leg]:
    """Token in, token out of a pool that minted or burned its liquidity token: every pair that transfers show."""
    into: dict[Address, None] = {}
    out_of: dict[Address, None] = {}
    for log in logs:
        if len(log.topics) != 3 or log.topics[0] != TRANSFER:
            continue
        source, target = Address(log.topics[1][12:]), Address(log.topics[2][12:])
        if target in (pool, ZERO_ADDRESS):
            into[log.address] = None
        if source in (pool, ZERO_ADDRESS):
            out_of[log.address] = None
    return [Leg(pool, one, other, None) for one in into for other in out_of if one != other]


def _closes(leg: Leg, legs: Sequence[Leg]) -> bool:
    """Whether what the leg gives comes back, through other pools, as what it takes."""
    reached, queue = {leg.token_out}, deque([leg.token_out])
    while queue:
        token = queue.popleft()
        if token == leg.token_in:
            return True
        for other in legs:
            if other.pool != leg.pool and other.token_in == token and other.token_out not in reached:
                reached.add(other.token_out)
                queue.append(other.token_out)
    return False


def _prices(swaps: Sequence[Swap], wrapped_native: Address) -> dict[Address, Fraction]:
    """Wei per smallest unit of each token that the swaps connect with ETH, at the rates they had."""
    prices = {wrapped_native: Fraction(1), ZERO_ADDRESS: Fraction(1)}
    grown = True
    while grown:
        grown = False
        for swap in swaps:
            if swap.token_in is None or swap.token_out is None or swap.amount_in <= 0 or swap.amount_out <= 0:
                continue
            if swap.token_in in prices and swap.token_out not in prices:
                prices[swap.token_out] = prices[swap.token_in] * swap.amount_in / swap.amount_out
                grown = True
            elif swap.token_out in prices and swap.token_in not in prices:
                prices[swap.token_in] = prices[swap.token_out] * swap.amount_out / swap.amount_in
                grown = True
    return prices


def _paid_directly(executed: Executed, base_fee_per_gas: int) -> int:
    """What the fee recipient gained beyond the priority fee, in wei."""
    tip = executed.gas_used * (executed.effective_gas_price - base_fee_per_gas)
    return max(0, executed.coinbase_payment_wei - tip)


def _searchers_side(effects: Effects, cycle: Sequence[Leg]) -> tuple[Address, ...]:
    """The sender, the contract called, and whoever paid into a pool of the cycle and was paid out of one.

    Searchers keep their money in contracts of their own that the called one draws on.
    """
    holders = {leg.swap.holder for leg in cycle if leg.swap is not None}
    paid: dict[Address, None] = {}
    received = set()
    for log in effects.logs:
        if len(log.topics) == 3 and log.topics[0] == TRANSFER:
            source, target = Address(log.topics[1][12:]), Address(log.topics[2][12:])
            if target in holders:
                paid[source] = None
            if source in holders:
                received.add(target)
    called = [effects.called] if effects.called is not None else []
    named = [effects.sender, *called, *(one for one in paid if one in received)]
    return tuple(dict.fromkeys(one for one in named if one not in holders and one != ZERO_ADDRESS))


def _joined(effects: Effects, accounts: Sequence[Address], wrapped_native: Address, whole: bool) -> dict[Address, int]:
    """The balance changes of ``accounts`` together; ETH counts as WETH beyond dust, gained ETH only if ``whole``."""
    joined: dict[Address, int] = {}
    native = 0
    for account in accounts:
        for token, change in effects.changes.get(account, {}).items():
            if token is None:
                native += change
            else:
                joined[token] = joined.get(token, 0) + change
    if not whole:
        native = min(native, 0)
    wrapped = joined.get(wrapped_native, 0)
    if abs(native) > abs(wrapped) * DUST_SHARE:
        joined[wrapped_native] = wrapped + native
    return joined


def _won(
    changes: Mapping[Address, int], prices: Mapping[Address, Fraction], wrapped_native: Address
) -> tuple[Fraction, Address, int] | None:
    """(worth in wei, token, amount) of the largest gain, None when nothing was gained or more than dust was lost."""
    gained = {token: change for token, change in changes.items() if change > 0}
    if not gained:
        return None
    # A token without a price counts as worth nothing, so that one with a price comes first.
    gains = [(change * prices.get(token, Fraction(0)), token, change) for token, change in gained.items()]
    best = max(gains, key=lambda gain: (gain[0], gain[1] == wrapped_native))
    for token, change in changes.items():
        if change < 0 and (token not in prices or -change * prices[token] > best[0] * DUST_SHARE):
            return None
    return best


def _path(cycle: Sequence[Leg], token: Address) -> tuple[bytes, ...]:
    """The pools in the order the money went, starting with ``token``; legs that do not join up follow in log order."""
    left, path, at = list(cycle), [], token
    while left:
        following = next((leg for leg in left if leg.token_in == at), left[0])
        left.remove(following)
        if following.pool not in path:
            path.append(following.pool)
        at = following.token_out
    return tuple(path)
