"""Pools that only a trial can vouch for have no place in a pool file."""

from __future__ import annotations

from flasharb.pools.spec import PoolSpec
from flasharb.units import checksum


def vouch(spec: PoolSpec, _chain_id: int) -> str:
    """Why a file's word is not enough, always."""
    return (
        f"not probed: what {checksum(spec.address)} does as {spec.protocol} only a trial in the local EVM can tell, "
        "which is made for recorded blocks (flasharb backtest)"
    )
