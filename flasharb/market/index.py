"""Where a pool is found: by token, by token pair, by the bus's ids. Rebuilt only when the set of pools changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, TypeVar

from flasharb.feed.instrument import fast_hash, pool_asset_id, token_id
from flasharb.market import versions
from flasharb.pools.protocols import is_timed, sources_of
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

VENUES: Final[Mapping[str, int]] = {
    "uniswap_v2": 300,
    "uniswap_v3": 301,
    "sushiswap_v2": 302,
    "sushiswap_v3": 302,
    "pancakeswap_v2": 500,
    "pancakeswap_v3": 500,
}
"""The bus's venue id of each protocol; the bus has one id for all of PancakeSwap."""

GENERIC_VENUE: Final = 0
"""The venue of a protocol that the bus does not know."""

Key = TypeVar("Key")
Table = Mapping[Key, tuple[Address, ...]]


def pair_of(token_a: Address, token_b: Address) -> tuple[Address, Address]:
    """The two tokens in ascending order."""
    return (token_a, token_b) if token_a < token_b else (token_b, token_a)


def venue_of(protocol: str) -> int:
    """The bus's venue id of a protocol."""
    return VENUES.get(protocol, GENERIC_VENUE)


@dataclass(frozen=True, slots=True)
class Index:
    """Addresses of pools under each key, in ascending order.

    A pool of n tokens stands under each of them and under each pair of them. ``by_fast_hash`` and ``by_asset_id`` may
    name several pools: the bus's ids know no fee tier. The asset id exists for pools of two tokens only. ``by_source``
    has the contracts whose logs move a pool beside its own; ``timed`` the pools that answer for one block time, by
    protocol.
    """

    by_token: Table[Address] = field(default_factory=dict)
    by_pair: Table[tuple[Address, Address]] = field(default_factory=dict)
    by_fast_hash: Table[int] = field(default_factory=dict)
    by_asset_id: Table[tuple[int, int]] = field(default_factory=dict)
    by_source: Table[Address] = field(default_factory=dict)
    timed: Table[str] = field(default_factory=dict)

    def adding(self, specs: Iterable[PoolSpec]) -> Index:
        """This index with further pools; a pool that it already has stays where it is."""
        keys = _keys(specs)
        return Index(*(_with(table, more) for table, more in zip(self._tables(), keys, strict=True)))

    def removing(self, specs: Iterable[PoolSpec]) -> Index:
        """This index without some pools; keys that become empty vanish."""
        keys = _keys(specs)
        return Index(*(_without(table, fewer) for table, fewer in zip(self._tables(), keys, strict=True)))

    def _tables(self) -> tuple[Table[Any], ...]:
        return self.by_token, self.by_pair, self.by_fast_hash, self.by_asset_id, self.by_source, self.timed


def _keys(specs: Iterable[PoolSpec]) -> tuple[dict[Any, set[Address]], ...]:
    """Which pools go under which key, one dictionary per table of the index."""
    tables: tuple[defaultdict[Any, set[Address]], ...] = tuple(defaultdict(set) for _ in range(6))
    by_token, by_pair, by_fast_hash, by_asset_id, by_source, timed = tables
    for spec in specs:
        venue, ids = venue_of(spec.protocol), [token_id(token) for token in spec.tokens]
        for token in spec.tokens:
            by_token[token].add(spec.address)
        for one, other in combinations(spec.tokens, 2):
            by_pair[pair_of(one, other)].add(spec.address)
        by_fast_hash[fast_hash(venue, ids)].add(spec.address)
        for source in sources_of(spec):
            by_source[source].add(spec.address)
        if is_timed(spec):
            timed[spec.protocol].add(spec.address)
        if len(ids) == 2:
            by_asset_id[venue, pool_asset_id(*ids)].add(spec.address)
    return tables


def _with(table: Table[Key], more: Mapping[Key, set[Address]]) -> Table[Key]:
    return versions.of(table).changed(
        {key: tuple(sorted(pools.union(table.get(key, ())))) for key, pools in more.items()}
    )


def _without(table: Table[Key], fewer: Mapping[Key, set[Address]]) -> Table[Key]:
    left = {key: tuple(pool for pool in table.get(key, ()) if pool not in pools) for key, pools in fewer.items()}
    emptied = [key for key, rest in left.items() if not rest]
    return versions.of(table).changed({key: rest for key, rest in left.items() if rest}, emptied)
