"""The mixed world with Uniswap V4's own PoolManager: of the npm package, or as a recorded mainnet block has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Final

from eth_abi.abi import encode as abi_encode

from flasharb.adapters.blockfile import read_block
from flasharb.pools.managed.key import PoolKey
from flasharb.units import Address, address
from tests.support.contract_world import DEPLOYER, ETHER, Q96, REPOSITORY, selector
from tests.support.mixed_routes import DEPTH, KEY_TYPE, MixedWorld, fields_of

ARTIFACT: Final = REPOSITORY / "solidity/node_modules/@uniswap/v4-core/out/PoolManager.sol/PoolManager.json"
MAINNET: Final = address("0x000000000004444c5dc75cB358380D2e3dE08A90")
RECORDED_IN: Final = 22_944_300
LOWEST: Final = 4_295_128_740
HIGHEST: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_341
PARAMS: Final = "(bool,int256,uint160)"
POSITION: Final = "(int24,int24,int256,bytes32)"


@cache
def recorded_code(folder: Path) -> bytes:
    """The manager's runtime code on mainnet."""
    block = read_block(folder / f"{RECORDED_IN}.json.gz")
    account = block.pre_state[MAINNET]
    assert account is not None
    return block.codes[account.code_hash]


class ManagedWorld(MixedWorld):
    """See the module. ``code``: the manager's runtime code, to stand where mainnet has it; None: the npm package's."""

    def __init__(self, code: bytes | None = None) -> None:
        self._code = code
        super().__init__()

    def make_manager(self) -> Address:
        """The real one."""
        self.v4_user = self.deploy("V4User")
        if self._code is None:
            creation = json.loads(ARTIFACT.read_text())["bytecode"]["object"]
            return self._create(bytes.fromhex(creation[2:]) + abi_encode(["address"], [DEPLOYER]))
        self.next_block()
        self.place_code(MAINNET, self._code)
        return MAINNET

    def open_v4(self, key: PoolKey, zero_for_one: bool, gain: int) -> Callable[[int], int]:
        """A pool with liquidity over the full range."""
        price = (gain, 10_000) if zero_for_one else (10_000, gain)
        sqrt_price = isqrt(price[0] * Q96 * Q96 // price[1])
        types = [KEY_TYPE, "uint160"]
        self.transact_tuple(self.manager, f"initialize({KEY_TYPE},uint160)", types, fields_of(key), sqrt_price)
        for token in (key.currency0, key.currency1):
            self.give(token, self.v4_user, 2 * DEPTH * ETHER)
        position = (-887_270, 887_270, DEPTH * ETHER, bytes(32))
        added = selector(f"modifyLiquidity({KEY_TYPE},{POSITION},bytes)")
        added += abi_encode([KEY_TYPE, POSITION, "bytes"], [fields_of(key), position, b""])
        self.transact(self.v4_user, "execute(address,address,address,bytes)", *self._call(key, added))
        swap = selector(f"swap({KEY_TYPE},{PARAMS},bytes)")

        def quote(amount: int) -> int:
            params = (zero_for_one, -amount, LOWEST if zero_for_one else HIGHEST)
            data = swap + abi_encode([KEY_TYPE, PARAMS, "bytes"], [fields_of(key), params, b""])
            delta = self.read(self.v4_user, "execute(address,address,address,bytes)", "bytes32", *self._call(key, data))
            # One word: the change of currency 0 in the upper half, of currency 1 in the lower.
            return int.from_bytes(delta[16:] if zero_for_one else delta[:16], "big")

        return quote

    def _call(self, key: PoolKey, data: bytes) -> tuple[object, ...]:
        return self.manager, key.currency0, key.currency1, data
