"""Pools that nobody listed, named by the bus or created while we run: tracked from then on, if they are vouched for.

A bus may name any address, and anybody may create a pool. The factories (or code and storage) decide what it is, the
configuration's tokens whether it is wanted, and its state comes from the node like every other pool's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from flasharb.feed.events import PoolNamed
from flasharb.market.filters import Excluded
from flasharb.pools.register import Refused, Register
from flasharb.pools.spec import PoolSpec
from flasharb.units import Address

Sort = Callable[[Collection[PoolSpec]], tuple[list[PoolSpec], dict[Address, Excluded]]]
"""Into those to track and those to leave out: ``market.filters.tracked`` with the configuration's terms."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """``specs`` and ``left_out`` are the run's own, and grow with what is named.

    ``from_factories``: the logs of the factories are asked for after each block (``Chain.created``).
    """

    register: Register
    sort: Sort
    specs: dict[Address, PoolSpec]
    left_out: dict[Address, Excluded]
    from_factories: bool = False

    def take(self, named: PoolNamed) -> PoolSpec | Refused | None:
        """The pool that is tracked from now on, why it is refused, or None where nothing changes."""
        if named.pool in self.specs or named.pool in self.left_out:
            return None
        if named.pool not in self.register.specs:
            refused = self.register.named(named.pool, named.tokens, "the bus")
            if refused is not None:
                return refused
        kept = self._keep((self.register.specs[named.pool],))
        return kept[0] if kept else None

    def choose(self) -> list[PoolSpec]:
        """Those that the register has taken since, as far as the run wants them; they are tracked from now on."""
        fresh = [spec for at, spec in self.register.specs.items() if at not in self.specs and at not in self.left_out]
        return self._keep(fresh)

    def _keep(self, fresh: Collection[PoolSpec]) -> list[PoolSpec]:
        kept, left_out = self.sort(fresh)
        self.left_out.update(left_out)
        self.specs.update((spec.address, spec) for spec in kept)
        return kept
