"""The last resort of a recorded block: pools that no model covers, quoted by making swaps in them (``made_swaps``).

What a contract is, it says itself (``coins``, ``getReserves``, …), and a first swap shows whether that is so: which
numbers Curve's ``exchange`` wants, whether a pair lets anything go. Nobody vouches for such a pool. That is good enough
to search what is past, where every trade is tried anyway; nothing here takes part in the live service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import MissingState
from flasharb.execution.commands.curve import CurveFacts
from flasharb.pools import PoolSpec
from flasharb.pools.errors import QuoteUnavailable
from flasharb.pools.quoted.pool import QuotedPool
from flasharb.simulation.made_swaps import Gift, find_gift, made_pool
from flasharb.simulation.probe import call_of
from flasharb.simulation.recorded_pools import KnownPools
from flasharb.simulation.replay import Replay
from flasharb.simulation.trial import Place
from flasharb.units import ZERO_ADDRESS, Address, address

_ETHER: Final = address("0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE")
_MOST_COINS: Final = 7
_PROBE: Final = 10**4
"""The first swap is this part of what the pool holds."""


class QuotedPools:
    """``specs``: the pools among the block's contracts, those apart that are ``known`` already."""

    def __init__(self, replay: Replay, wrapped_native: Address, vault: Address, known: Mapping[Address, PoolSpec]):
        self._replay = replay
        self._contracts = wrapped_native, vault
        self._gifts: dict[Address, Gift | None] = {}
        self.specs: dict[Address, PoolSpec] = {}
        shares = self._base_shares()
        for at in replay.block.pre_state:
            if at not in known and replay.code(at):
                spec = next((one for one in self._guesses(at, shares.get(at)) if self._works(one)), None)
                if spec is not None:
                    self.specs[at] = spec

    def known(self) -> KnownPools:
        """The pools as they stand at the replay's position; they cannot be asked when it has moved on."""
        known = KnownPools({}, {})
        for at, spec in self.specs.items():
            pool = self._pool(spec)
            if isinstance(pool, str):
                known.unknown[at] = pool
            else:
                known.pools[at] = pool
        return known

    # What a contract may be

    def _guesses(self, at: Address, share: Address | None) -> Iterator[PoolSpec]:
        pair = self._pair_of(at)
        if pair is not None:
            if self._replay.ask(at, call_of("tickSpacing()")) is not None:
                yield PoolSpec(at, "quoted_v3", pair, 0)
            elif self._replay.ask(at, call_of("stable()")) is not None:
                yield PoolSpec(at, "quoted_solidly", pair, 0)
            elif self._replay.ask(at, call_of("getReserves()")) is not None:
                yield PoolSpec(at, "quoted_v2", pair, 0)
            return
        coins = self._coins(at)
        listed = tuple(self._contracts[0] if coin == _ETHER else coin for coin in coins)
        if len(coins) < 2 or len(set(listed)) != len(listed):
            return
        ether = coins.index(_ETHER) if _ETHER in coins else None
        share = share or next(filter(None, (self._address(at, f"{name}()") for name in ("token", "lp_token"))), None)
        if share is None and self._replay.ask(at, call_of("totalSupply()")) is not None:
            share = at
        for tokens in ((*listed, share), listed) if share is not None and share not in listed else (listed,):
            for uint in (False, True):
                facts = CurveFacts(len(listed), uint_indices=uint, ether=ether)
                yield PoolSpec(at, "quoted_curve", tokens, 0, facts=facts)

    def _pair_of(self, at: Address) -> tuple[Address, Address] | None:
        first, second = self._address(at, "token0()"), self._address(at, "token1()")
        return None if first is None or second is None or first == second else (first, second)

    def _coins(self, at: Address) -> tuple[Address, ...]:
        """A Curve pool's coins. One that the file does not name has a balance; it stands under a name of no account."""
        for number in ("uint256", "int128"):
            coins: list[Address] = []
            named = 0
            for index in range(_MOST_COINS):
                coin = self._address(at, f"coins({number})", index)
                if coin is None and self._replay.ask(at, call_of(f"balances({number})", index)) is None:
                    break
                named += coin is not None
                coins.append(coin or Address(keccak(b"unnamed" + at + bytes((index,)))[12:]))
            if named:
                return tuple(coins)
        return ()

    def _base_shares(self) -> dict[Address, Address]:
        """Pools that do not say what their share is, by what a metapool on them has as its last coin."""
        shares: dict[Address, Address] = {}
        for at in self._replay.block.pre_state:
            base = self._address(at, "base_pool()") if self._replay.code(at) else None
            coins = () if base is None else self._coins(at)
            if base is not None and coins:
                shares[base] = coins[-1]
        return shares

    def _address(self, at: Address, signature: str, *arguments: int) -> Address | None:
        answer = self._replay.ask(at, call_of(signature, *arguments))
        if answer is None or len(answer) != 32 or any(answer[:12]) or not any(answer):
            return None
        return Address(answer[12:])

    # Whether it is that

    def _works(self, spec: PoolSpec) -> bool:
        """Whether a small swap for a coin pays, and one from or for its share, if one is listed."""
        pool = self._pool(spec)
        if isinstance(pool, str):
            return False
        coins = spec.facts.coins if isinstance(spec.facts, CurveFacts) else len(spec.tokens)
        paying = [ends for ends in permutations(range(len(spec.tokens)), 2) if _pays(pool, *ends)]
        bought = any(j < coins for _, j in paying)
        return bought and (coins == len(spec.tokens) or any(coins in ends for ends in paying))

    def _pool(self, spec: PoolSpec) -> QuotedPool | str:
        """The pool now, or why it cannot be quoted."""
        replay, (wrapped_native, vault) = self._replay, self._contracts
        block = replay.block
        place = Place(replay.state(), block.context, block.fork, wrapped_native, vault, ZERO_ADDRESS).by_later_rules()
        gifts = {token: gift for token in spec.tokens if (gift := self._gift(token, place)) is not None}
        try:
            return made_pool(spec, place, gifts)
        except (QuoteUnavailable, ValueError) as error:
            return str(error)

    def _gift(self, token: Address, place: Place) -> Gift | None:
        if token not in self._gifts:
            try:
                self._gifts[token] = find_gift(token, place)
            except MissingState:
                self._gifts[token] = None
        return self._gifts[token]


def _pays(pool: QuotedPool, i: int, j: int) -> bool:
    try:
        return pool.amount_out(i, j, pool.balances[i] // _PROBE) > 0
    except QuoteUnavailable:
        return False
