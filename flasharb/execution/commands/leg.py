"""What the plan and the encoders know of one pool of a route."""

from __future__ import annotations

from dataclasses import dataclass

from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class Leg:
    """One pool of a route with exact amounts.

    ``kind``: its family in the registry of encoders. ``i`` and ``j`` index the protocol's own order of its tokens.
    ``facts``: what the family's encoder needs beyond that (a V4 key, the 32 bytes of a Balancer pool id, …), as
    ``Protocol.named`` gives it. Ether is the zero address.
    """

    kind: str
    pool: Address
    token_in: Address
    token_out: Address
    i: int
    j: int
    amount_in: int
    amount_out: int
    facts: object = None
