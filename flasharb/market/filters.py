"""Which pools the search leaves out, each with its reason.

Two different times: ``tracked`` decides once, before a pool is loaded, by its tokens (``pools.track_all``); the filter
of ``market.liquidity`` decides anew in every block, by what the pool holds now and what that is worth now
(``pools.min_liquidity_usd``). Pools that are too thin stay in the market: they are kept up to date, they may recover,
and they still have their (small) say in the reference prices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flasharb.market.prices import NoPrice
from flasharb.pools import PoolSpec, Token
from flasharb.pools.protocols import PROTOCOLS
from flasharb.units import Address, address, checksum


class Cause(StrEnum):
    """Why a pool is left out."""

    NOT_TRACKED = "not_tracked"
    """``pools.track_all`` is false and one of its tokens is neither a base token nor listed."""

    QUARANTINED = "quarantined"
    """One of its tokens does not move as quotes take it to (``market.quarantine``)."""

    NOT_EXECUTABLE = "not_executable"
    """FlashArb has no command that swaps in pools of its protocol."""

    BELOW_MIN_LIQUIDITY = "below_min_liquidity"
    """Less than ``pools.min_liquidity_usd`` (V2: of a reserve; V3: of a token within 10 % of the price)."""

    NO_PRICE_FOR_LIQUIDITY = "no_price_for_liquidity"
    """``pools.min_liquidity_usd`` is set and one of its tokens has no USD price."""

    DEPTH_UNKNOWN = "depth_unknown"
    """``pools.min_liquidity_usd`` is set and not all ticks within 10 % of the price are loaded, or it has no price."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A pool that is left out: why, and the token (or other fact) that decided.

    ``holds`` and ``needs`` are smallest units of the token, as they were when this was decided.
    """

    cause: Cause
    about: Address | NoPrice | str
    holds: int = 0
    needs: int = 0

    @property
    def detail(self) -> str:
        """The figures, for people."""
        if not isinstance(self.about, bytes):
            return str(self.about)
        if self.cause is Cause.NOT_TRACKED:
            return f"{checksum(self.about)} is not listed"
        if self.cause is Cause.QUARANTINED:
            return f"{checksum(self.about)} is in quarantine"
        return f"{self.holds} of {checksum(self.about)}, needs {self.needs}"


def resolve(names: Iterable[str], tokens: Iterable[Token]) -> tuple[Address, ...]:
    """The addresses of tokens named by symbol (of the token list) or by address.

    Raises:
        ValueError: a symbol that no listed token has, or that several have.
    """
    by_symbol: dict[str, set[Address]] = {}
    for token in tokens:
        by_symbol.setdefault(token.symbol, set()).add(token.address)
    return tuple(_resolve(name, by_symbol) for name in names)


def _resolve(name: str, by_symbol: Mapping[str, set[Address]]) -> Address:
    if name.startswith("0x"):
        return address(name)
    known = sorted(by_symbol.get(name, ()))
    if not known:
        raise ValueError(f"no listed token has the symbol {name!r} (listed: {', '.join(sorted(by_symbol)) or 'none'})")
    if len(known) > 1:
        raise ValueError(f"several tokens are called {name!r}; give one of {', '.join(map(checksum, known))}")
    return known[0]


def tracked(
    specs: Iterable[PoolSpec], *, track_all: bool, listed: Collection[Address], kinds: Collection[str]
) -> tuple[list[PoolSpec], dict[Address, Excluded]]:
    """Split pools into those to load and those left out: all tokens must be listed, unless all are tracked.

    A pool's own share, which it may take and give itself, need not be listed.

    ``listed``: the base tokens, the tokens of the token lists, and ``pools.tokens``. ``kinds``: the kinds of protocols
    that can be executed.
    """
    kept: list[PoolSpec] = []
    left_out: dict[Address, Excluded] = {}
    for spec in specs:
        strange = [] if track_all else [token for token in spec.tokens if token not in listed and token != spec.address]
        if PROTOCOLS[spec.protocol].kind not in kinds:
            left_out[spec.address] = Excluded(Cause.NOT_EXECUTABLE, f"no command swaps in a pool of {spec.protocol}")
        elif strange:
            left_out[spec.address] = Excluded(Cause.NOT_TRACKED, strange[0])
        else:
            kept.append(spec)
    return kept, left_out
