"""Maker's lite PSM from its own bytecode, with as much of Maker around it as it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from eth_hash.auto import keccak

from flasharb.pools import PoolSpec
from flasharb.pools.constant_rate.pool import ConstantRatePool
from flasharb.pools.loading import Elsewhere, Needs, load_pool
from flasharb.units import Address
from tests.support.assembly import assemble
from tests.support.contract_world import DEPLOYER, World

FOREVER: Final = (1 << 256) - 1


def join_code(dai: Address) -> bytes:
    """A contract that is Vat and join in one: it has a dai, and is its own vat."""
    asked = keccak(b"dai()")[:4].hex()
    return assemble(
        f"""
        0 CALLDATALOAD 224 SHR 0x{asked} EQ @dai JUMPI
        ADDRESS 0 MSTORE 32 0 RETURN
        dai:
        0x{dai.hex()} 0 MSTORE 32 0 RETURN
        """
    )


def open_psm(world: World, gem: Address, dai: Address, tin: int = 0, tout: int = 0) -> Address:
    """A module with these fees whose pocket is the deployer; it has nothing yet to pay with."""
    code = join_code(dai)
    creation = b"\x61" + len(code).to_bytes(2, "big") + bytes.fromhex("80600a5f395ff3") + code
    join = world.send(None, creation).contract_address
    types = ["bytes32", "address", "address", "address"]
    psm = world.deploy("DssLitePsm", types, [bytes(32), gem, join, DEPLOYER])
    for what, value in ((b"tin", tin), (b"tout", tout)):
        world.transact(psm, "file(bytes32,uint256)", what.ljust(32, b"\0"), value)
    world.transact(gem, "approve(address,uint256)", psm, FOREVER)
    return psm


def load_psm(spec: PoolSpec, storage: Callable[[Address, int], int]) -> ConstantRatePool:
    """The module as storage has it, by the loader's own rounds."""
    slots: dict[int, int] = {}
    elsewhere: dict[tuple[Address, int], int] = {}
    while isinstance(answer := load_pool(spec, slots, None, Elsewhere(elsewhere)), Needs):
        slots |= {slot: storage(spec.address, slot) for slot in answer.slots}
        elsewhere |= {key: storage(*key) for key in answer.elsewhere}
    assert isinstance(answer, ConstantRatePool)
    return answer
