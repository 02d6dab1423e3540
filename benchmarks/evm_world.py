"""A world of real contracts with liquidity, made by their own code, and the calls that are measured on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_hash.auto import keccak

from flasharb.evm import Account, BlockContext, DictState, Fork, Machine, UnsignedTransaction

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures" / "bytecode"
ME: Final = b"\x11" * 20
SOMEBODY: Final = b"\x22" * 20
ETHER: Final = 10**18
LATER: Final = 2**40
PLENTY: Final = 2**256 - 1

CONTEXT: Final = BlockContext(
    chain_id=1,
    number=20_000_000,
    timestamp=1_720_000_000,
    coinbase=bytes(20),
    gas_limit=1 << 40,
    base_fee_per_gas=0,
    prev_randao=bytes(32),
    excess_blob_gas=0,
)

_EXACT_INPUT_SINGLE: Final = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))"


def creation_code(name: str) -> bytes:
    """The creation code of a fixture."""
    return bytes.fromhex(json.loads((FIXTURES / f"{name}.json").read_text())["bytecode"].removeprefix("0x"))


def call_data(signature: str, *arguments: Any) -> bytes:
    """A call by its signature, with tuples in it if need be."""
    name, _, types = signature.partition("(")
    return keccak(f"{name}({types}".encode())[:4] + encode(_split(types[:-1]), arguments)


def _split(types: str) -> list[str]:
    depth, parts = 0, [""]
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


class World:
    """The contracts, deployed and funded by the engine given."""

    def __init__(self, engine: Any = "py-evm", fork: Fork = Fork.CANCUN) -> None:
        self.state = DictState({ME: Account(balance=10**30)})
        self.engine, self.fork = engine, fork
        self._builder = Machine(self.state, CONTEXT, fork, engine)
        self._nonce = 0
        self._build()
        self.state.apply(self._builder.diff())

    def machine(self, engine: Any = None) -> Machine:
        """A machine on the finished world."""
        return Machine(self.state, CONTEXT, self.fork, engine or self.engine)

    def deploy(self, name: str, types: tuple[str, ...] = (), values: tuple[Any, ...] = ()) -> bytes:
        """Create a contract; its address."""
        address = self._send(None, creation_code(name) + encode(types, values)).contract_address
        assert address is not None
        return bytes(address)

    def send(self, to: bytes, signature: str, *arguments: Any) -> bytes:
        """Send a transaction that must succeed; its output."""
        return bytes(self._send(to, call_data(signature, *arguments)).output)

    def _send(self, to: bytes | None, data: bytes) -> Any:
        transaction = UnsignedTransaction(ME, to, data, 0, self._nonce, 30_000_000, 0, 0, (), CONTEXT.chain_id)
        result = self._builder.apply(transaction)
        self._nonce += 1
        if not result.status:
            raise RuntimeError(f"{to.hex() if to else 'creation'}: {result.error} 0x{result.output.hex()}")
        return result

    def _build(self) -> None:
        token_types = ("string", "string", "uint8", "address")
        tokens = [self.deploy("DevToken", token_types, ("Token", "T", 18, ME)) for _ in range(2)]
        self.token0, self.token1 = sorted(tokens)
        for token in tokens:
            self.send(token, "mint(address,uint256)", ME, 10**30)
        self.weth = self.deploy("WETH9")
        self._build_v2()
        self._build_v3()
        self.send(self.token0, "transfer(address,uint256)", SOMEBODY, ETHER)

    def _build_v2(self) -> None:
        factory = self.deploy("UniswapV2Factory", ("address",), (ME,))
        self.router2 = self.deploy("UniswapV2Router02", ("address", "address"), (factory, self.weth))
        for token in (self.token0, self.token1):
            self.send(token, "approve(address,uint256)", self.router2, PLENTY)
        signature = "addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)"
        self.send(self.router2, signature, self.token0, self.token1, 10**24, 2 * 10**24, 0, 0, ME, LATER)

    def _build_v3(self) -> None:
        factory = self.deploy("UniswapV3Factory")
        pair = ("address", "address")
        self.router3 = self.deploy("SwapRouter", pair, (factory, self.weth))
        manager = self.deploy("NonfungiblePositionManager", (*pair, "address"), (factory, self.weth, bytes(20)))
        self.quoter = self.deploy("QuoterV2", pair, (factory, self.weth))
        for token in (self.token0, self.token1):
            for spender in (self.router3, manager):
                self.send(token, "approve(address,uint256)", spender, PLENTY)
        price = 112045541949572279837463876454  # sqrt(2) * 2**96
        create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)"
        self.send(manager, create, self.token0, self.token1, 3000, price)
        mint = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"
        ranges = ((-887220, 887220, 10**24), (6000, 7800, 10**22), (6900, 6960, 10**21), (6840, 6900, 10**21))
        for lower, upper, amount in ranges:
            position = (self.token0, self.token1, 3000, lower, upper, amount, 2 * amount, 0, 0, ME, LATER)
            self.send(manager, mint, position)

    def workloads(self) -> Mapping[str, tuple[bytes, bytes]]:
        """What is measured: contract and call data by name."""
        v2 = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
        quote = "quoteExactInputSingle((address,address,uint256,uint24,uint160))"
        path = [self.token0, self.token1]

        def v3(amount: int) -> tuple[bytes, bytes]:
            order = (self.token0, self.token1, 3000, ME, LATER, amount, 0, 0)
            return self.router3, call_data(_EXACT_INPUT_SINGLE, order)

        return {
            "ERC-20 transfer": (self.token0, call_data("transfer(address,uint256)", SOMEBODY, ETHER)),
            "V2 router swap": (self.router2, call_data(v2, 10 * ETHER, 0, path, ME, LATER)),
            "V3 exactInputSingle": v3(10 * ETHER),
            "V3 across ticks": v3(30_000 * ETHER),
            "V3 QuoterV2": (self.quoter, call_data(quote, (self.token0, self.token1, 10 * ETHER, 3000, 0))),
        }
