"""Pools of the PoolManager in pool files: their facts, and who vouches for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flasharb.pools.managed.key import ManagedFacts, admit, facts_of
from flasharb.pools.spec import PoolSpec
from flasharb.units import ZERO_ADDRESS, Address, address, checksum

MANAGERS: Final[Mapping[int, Address]] = {1: address("0x000000000004444c5dc75cB358380D2e3dE08A90")}
"""The manager of each chain that is known."""


def vouch(spec: PoolSpec, chain_id: int) -> str | None:
    """Why the pool cannot be what its file says: another manager, another id, or one that is not admitted."""
    manager = facts_of(spec).manager
    known = MANAGERS.get(chain_id)
    if manager != known:
        told = f"that is {checksum(known)}" if known else "none is known"
        return f"{checksum(manager)} is not the PoolManager of chain {chain_id}: {told}"
    return admit(spec)


def read_facts(item: Mapping[str, Any]) -> ManagedFacts:
    """``{"manager": "0x…", "pool_id": "0x… (32 bytes)", "hooks": "0x…"}``; hooks may be left out.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if not {"manager", "pool_id"} <= item.keys() <= {"manager", "pool_id", "hooks"}:
        raise ValueError(f"expected the keys manager, pool_id and perhaps hooks, not {', '.join(item) or 'none'}")
    for name, value in item.items():
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, not {value!r}")
    try:
        pool_id = bytes.fromhex(item["pool_id"].removeprefix("0x"))
    except ValueError:
        pool_id = b""
    if len(pool_id) != 32:
        raise ValueError(f"pool_id: expected 32 bytes of hex, not {item['pool_id']!r}")
    hooks = address(item["hooks"]) if "hooks" in item else ZERO_ADDRESS
    return ManagedFacts(address(item["manager"]), pool_id, hooks)
