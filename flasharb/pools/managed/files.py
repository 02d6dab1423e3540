"""Pools of the PoolManager in pool files: their facts, and who vouches for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flasharb.pools.managed.key import ManagedFacts, admit, facts_of
from flasharb.pools.spec import PoolSpec
from flasharb.settings import DEVNET_CHAIN_ID, Chain, wrapped_native
from flasharb.units import ZERO_ADDRESS, Address, address, checksum

_MAINNET_MANAGER: Final = address("0x000000000004444c5dc75cB358380D2e3dE08A90")
MANAGERS: Final[Mapping[int, Address]] = {1: _MAINNET_MANAGER, DEVNET_CHAIN_ID: _MAINNET_MANAGER}
"""The manager of each chain that is known; for another chain, ``contract.v4_manager`` or a pool file names it."""


def vouch(spec: PoolSpec, chain_id: int) -> str | None:
    """Why the pool cannot be what its file says: another id, another name for ether, or one that is not admitted."""
    facts = facts_of(spec)
    wrapper = wrapped_native(Chain(id=chain_id))
    if facts.native and wrapper is not None and spec.token0 != wrapper:
        return f"{checksum(spec.token0)} is not how the market calls ether: that is {checksum(wrapper)}"
    return admit(spec)


def read_facts(item: Mapping[str, Any]) -> ManagedFacts:
    """``{"manager": "0x…", "pool_id": "0x… (32 bytes)", "hooks": "0x…", "native": true}``.

    Hooks may be left out. ``native``, where the first token of the entry is the wrapper of the ether that the pool
    holds; such a pool may also be listed with the zero address as its first token.

    Raises:
        ValueError: a key is missing, unknown or wrong.
    """
    if not {"manager", "pool_id"} <= item.keys() <= {"manager", "pool_id", "hooks", "native"}:
        found = ", ".join(item) or "none"
        raise ValueError(f"expected the keys manager, pool_id and perhaps hooks and native, not {found}")
    native = item.get("native", False)
    if not isinstance(native, bool):
        raise ValueError(f"native: expected true or false, not {native!r}")
    for name, value in item.items():
        if name != "native" and not isinstance(value, str):
            raise ValueError(f"{name}: expected text, not {value!r}")
    try:
        pool_id = bytes.fromhex(item["pool_id"].removeprefix("0x"))
    except ValueError:
        pool_id = b""
    if len(pool_id) != 32:
        raise ValueError(f"pool_id: expected 32 bytes of hex, not {item['pool_id']!r}")
    hooks = address(item["hooks"]) if "hooks" in item else ZERO_ADDRESS
    return ManagedFacts(address(item["manager"]), pool_id, hooks, native)


def write_facts(facts: ManagedFacts) -> dict[str, Any]:
    """The facts as ``read_facts`` takes them."""
    item: dict[str, Any] = {"manager": checksum(facts.manager), "pool_id": f"0x{facts.pool_id.hex()}"}
    if facts.hooks != ZERO_ADDRESS:
        item["hooks"] = checksum(facts.hooks)
    return {**item, "native": True} if facts.native else item
