"""A small chain in the local EVM with the real pools, WETH and Balancer vault, and FlashArb among them.

Everything is deployed from bytecode by transactions, as on a real chain; nothing is written into storage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_hash.auto import keccak

from flasharb.evm import Account, BlockContext, DictState, Fork, Machine, TransactionResult, UnsignedTransaction
from flasharb.execution import artifact
from flasharb.execution.program import encode_call, encode_sweep
from flasharb.pools import PoolSpec
from flasharb.strategy.trade import Hop, Trade, TradeHop
from flasharb.units import Address

REPOSITORY = Path(__file__).resolve().parents[2]
CHAIN_ID = 31_337
OWNER = Address(bytes.fromhex("00000000000000000000000000000000000a11ce"))
DEPLOYER = Address(bytes.fromhex("0000000000000000000000000000000000de9107"))
STRANGER = Address(bytes.fromhex("000000000000000000000000000000000057a46e"))
COINBASE = Address(bytes.fromhex("00000000000000000000000000000000c01bba5e"))
ETHER = 10**18
V3_FEES = {500: 10, 2500: 50, 3000: 60, 10000: 200}
Q96 = 1 << 96


@cache
def compiled(name: str) -> dict[str, Any]:
    """An artifact with ``abi`` and ``bytecode``: of the npm protocols, or one of our own test contracts."""
    for folder in ("fixtures/bytecode", "tests/contract/artifacts"):
        path = REPOSITORY / folder / f"{name}.json"
        if path.exists():
            fields: dict[str, Any] = json.loads(path.read_text())
            return fields
    raise FileNotFoundError(f"no artifact {name}")


@cache
def selector(signature: str) -> bytes:
    """The first four bytes of a call to ``signature``."""
    return keccak(signature.encode())[:4]


def call_data(signature: str, *arguments: object) -> bytes:
    """An ABI call; ``signature`` as in ``transfer(address,uint256)``."""
    return selector(signature) + encode(_types(signature), arguments)


def _types(signature: str) -> list[str]:
    inner = signature[signature.index("(") + 1 : -1]
    return inner.split(",") if inner else []


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of the world."""

    address: Address
    protocol: str
    token0: Address
    token1: Address
    fee_pips: int

    @property
    def is_v3(self) -> bool:
        return self.protocol.endswith("_v3")


class World:
    """A chain of one machine a block. ``transact`` mines into the current block, ``next_block`` opens another."""

    def __init__(self, engine: str = "py-evm") -> None:
        self.engine = engine
        rich = 10**9 * ETHER
        self.state = DictState(
            {
                OWNER: Account(balance=rich),
                DEPLOYER: Account(balance=rich),
                STRANGER: Account(balance=rich),
                # An empty fee recipient would cost whoever pays it 25,000 gas more.
                COINBASE: Account(balance=1),
            }
        )
        self.number = 20_000_000
        self.timestamp = 1_750_000_000
        self.coinbase: Address = COINBASE
        self.base_fee = 10**9
        self.pools: dict[Address, Pool] = {}
        self._machine = self._open()
        self.weth = self.deploy("WETH9")
        self.user = self.deploy("PoolUser")
        self.vault = self.deploy(
            "BalancerVault", ["address", "address", "uint256", "uint256"], [DEPLOYER, self.weth, 7_776_000, 2_592_000]
        )
        self.v2_factory = self.deploy("UniswapV2Factory", ["address"], [DEPLOYER])
        self.v3_factory = self.deploy("UniswapV3Factory")
        self.contract = self._create(artifact.creation_code(OWNER, self.weth, self.vault))
        self.wrap(self.user, 10**6 * ETHER)
        self.next_block()

    def _open(self) -> Machine:
        context = BlockContext(
            chain_id=CHAIN_ID,
            number=self.number,
            timestamp=self.timestamp,
            coinbase=self.coinbase,
            gas_limit=1_000_000_000,
            base_fee_per_gas=self.base_fee,
            prev_randao=bytes(32),
            excess_blob_gas=0,
        )
        return Machine(self.state, context, Fork.PRAGUE, engine=self.engine)  # type: ignore[arg-type]  # "py-evm" | "stock"

    @property
    def machine(self) -> Machine:
        """The machine of the current block."""
        return self._machine

    def next_block(self) -> None:
        """Close the block and open the next, twelve seconds later."""
        self.state.apply(self._machine.diff())
        self.number += 1
        self.timestamp += 12
        self._machine = self._open()

    def restart_block(self) -> None:
        """Throw away what happened in the current block."""
        self._machine = self._open()

    def place_code(self, at: Address, code: bytes) -> None:
        """Code that no transaction deployed, from this block's start on."""
        self.restart_block()
        self.state.set_account(at, Account(code=code))
        self.restart_block()

    # --- transactions and calls

    def send(
        self, to: Address | None, data: bytes, *, sender: Address = DEPLOYER, value: int = 0, tip: int = 0
    ) -> TransactionResult:
        """A transaction that may revert."""
        return self._machine.apply(
            UnsignedTransaction(
                sender=sender,
                to=to,
                data=data,
                value=value,
                nonce=self._machine.nonce(sender),
                gas_limit=200_000_000,
                max_fee_per_gas=self.base_fee + tip,
                max_priority_fee_per_gas=tip,
                chain_id=CHAIN_ID,
            )
        )

    def transact(self, to: Address, signature: str, *arguments: object, value: int = 0) -> TransactionResult:
        """An ABI call that must succeed."""
        result = self.send(to, call_data(signature, *arguments), value=value)
        assert result.status == 1, f"{signature}: {result.error}"
        return result

    def transact_tuple(self, to: Address, signature: str, types: Sequence[str], *arguments: object) -> None:
        """An ABI call with tuples among its arguments, whose types are given apart; it must succeed."""
        result = self.send(to, selector(signature) + encode(list(types), arguments))
        assert result.status == 1, f"{signature}: {result.error}"

    def read(self, to: Address, signature: str, returns: str, *arguments: object) -> Any:
        """What a view answers; one value for one type."""
        result = self._machine.call(to, call_data(signature, *arguments), sender=DEPLOYER)
        assert result.success, f"{signature}: {result.error}"
        values = decode(returns.split(","), result.output)
        return values[0] if len(values) == 1 else values

    def deploy(self, name: str, types: Sequence[str] = (), arguments: Sequence[object] = ()) -> Address:
        """Deploy an artifact."""
        return self._create(bytes.fromhex(compiled(name)["bytecode"][2:]) + encode(list(types), list(arguments)))

    def _create(self, code: bytes) -> Address:
        result = self.send(None, code)
        assert result.status == 1, result.error
        assert result.contract_address is not None
        return Address(result.contract_address)

    def use_vault(self, vault: Address) -> None:
        """Deploy the contract anew, with another lender."""
        self.contract = self._create(artifact.creation_code(OWNER, self.weth, vault))

    # --- money

    def wrap(self, to: Address, amount: int) -> None:
        """WETH out of the deployer's ether."""
        self.transact(self.weth, "deposit()", value=amount)
        self.transact(self.weth, "transfer(address,uint256)", to, amount)

    def force_ether(self, to: Address, amount: int) -> None:
        """Ether that nobody can refuse: a contract destroys itself in favour of ``to``."""
        assert self.send(None, b"\x73" + to + b"\xff", value=amount).status == 1

    def token(self, decimals: int = 18, kind: str = "DevToken", symbol: str = "TOK") -> Address:
        """A new token of which the pool user has plenty."""
        if kind in ("DevToken", "NoReturnToken"):
            token = self.deploy(kind, ["string", "string", "uint8", "address"], [symbol, symbol, decimals, DEPLOYER])
        else:
            token = self.deploy(kind)
        self.transact(token, "mint(address,uint256)", self.user, 10 ** (decimals + 12))
        return token

    def execute(self, trade: Trade, **terms: object) -> TransactionResult:
        """The owner executes a trade, which must succeed."""
        fields: dict[str, Any] = {"loan": "flash_swap", "min_profit": 0, "bid_wei": 0, "deadline_block": self.number}
        data = encode_call(trade, weth=self.weth, **(fields | terms))
        result = self.send(self.contract, data, sender=OWNER)
        assert result.status == 1, (result.error, result.output.hex())
        return result

    def sweep(self) -> None:
        """The owner takes all WETH but one wei."""
        assert self.send(self.contract, encode_sweep(self.weth), sender=OWNER).status == 1

    def balance(self, token: Address, account: Address) -> int:
        """A token balance."""
        return int(self.read(token, "balanceOf(address)", "uint256", account))

    # --- pools

    def v2_pool(
        self, tokens: dict[Address, int], creation: str = "UniswapV2Factory", protocol: str = "uniswap_v2"
    ) -> Pool:
        """A V2 pair with these reserves, made by a factory of its own where the protocol asks for another."""
        first, second = tokens
        factory = self.v2_factory if creation == "UniswapV2Factory" else self.deploy(creation, ["address"], [DEPLOYER])
        if self.read(factory, "getPair(address,address)", "address", first, second) != "0x" + "00" * 20:
            factory = self.deploy(creation, ["address"], [DEPLOYER])
        self.transact(factory, "createPair(address,address)", first, second)
        pair = _address(self.read(factory, "getPair(address,address)", "address", first, second))
        for token, amount in tokens.items():
            self.transact(self.user, "send(address,address,uint256)", token, pair, amount)
        self.transact(pair, "mint(address)", self.user)
        fee = 2500 if protocol == "pancakeswap_v2" else 3000
        return self._keep(Pool(pair, protocol, *sorted((first, second)), fee))

    def v3_pool(self, tokens: dict[Address, int], fee: int = 3000, protocol: str = "uniswap_v3") -> Pool:
        """A V3 pool whose price is the ratio of ``tokens``, with full-range liquidity of these amounts."""
        token0, token1 = sorted(tokens)
        amount0, amount1 = tokens[token0], tokens[token1]
        spacing = V3_FEES[fee]
        if protocol == "pancakeswap_v3":
            maker = self.deploy("V3Deployer")
            code = bytes.fromhex(compiled("PancakeV3Pool")["bytecode"][2:])
            self.transact(maker, "deploy(bytes,address,address,uint24,int24)", code, token0, token1, fee, spacing)
            pool = _address(self.read(maker, "pool()", "address"))
        else:
            self.transact(self.v3_factory, "createPool(address,address,uint24)", token0, token1, fee)
            pool = _address(
                self.read(self.v3_factory, "getPool(address,address,uint24)", "address", token0, token1, fee)
            )
        price = isqrt(amount1 * Q96 * Q96 // amount0)
        self.transact(pool, "initialize(uint160)", price)
        limit = 887_272 // spacing * spacing
        self.transact(self.user, "mintV3(address,int24,int24,uint128)", pool, -limit, limit, isqrt(amount0 * amount1))
        return self._keep(Pool(pool, protocol, token0, token1, fee))

    def _keep(self, pool: Pool) -> Pool:
        self.pools[pool.address] = pool
        return pool

    def quote(self, pool: Pool, token_in: Address, amount_in: int) -> int:
        """The amount out that the pool's own code gives for an exact input."""
        zero_for_one = token_in == pool.token0
        if pool.is_v3:
            amounts = self.read(
                self.user, "quoteV3(address,bool,int256)", "int256,int256", pool.address, zero_for_one, amount_in
            )
            return -int(amounts[1 if zero_for_one else 0])
        reserves = self.read(pool.address, "getReserves()", "uint112,uint112,uint32")[:2]
        reserve_in, reserve_out = reserves if zero_for_one else reserves[::-1]
        with_fee = amount_in * (1_000_000 - pool.fee_pips)
        return int(with_fee * reserve_out // (reserve_in * 1_000_000 + with_fee))

    def quote_in(self, pool: Pool, token_in: Address, amount_out: int) -> int:
        """The amount in that the pool's own code asks for an exact output."""
        zero_for_one = token_in == pool.token0
        if pool.is_v3:
            amounts = self.read(
                self.user, "quoteV3(address,bool,int256)", "int256,int256", pool.address, zero_for_one, -amount_out
            )
            return int(amounts[0 if zero_for_one else 1])
        reserves = self.read(pool.address, "getReserves()", "uint112,uint112,uint32")[:2]
        reserve_in, reserve_out = reserves if zero_for_one else reserves[::-1]
        fee = 1_000_000 - pool.fee_pips
        return int(reserve_in * amount_out * 1_000_000 // ((reserve_out - amount_out) * fee) + 1)

    def swap(self, pool: Pool, token_in: Address, amount_in: int) -> None:
        """The pool user trades, moving the price."""
        zero_for_one = token_in == pool.token0
        if pool.is_v3:
            self.transact(self.user, "swapV3(address,bool,int256)", pool.address, zero_for_one, amount_in)
            return
        out = self.quote(pool, token_in, amount_in)
        outs = (0, out) if zero_for_one else (out, 0)
        self.transact(
            self.user, "swapV2(address,address,uint256,uint256,uint256)", pool.address, token_in, amount_in, *outs
        )

    def trade(self, route: Sequence[Pool], amount_in: int, base: Address | None = None) -> Trade:
        """``amount_in`` of the base token (WETH unless given) once around ``route``, with the pools' own quotes."""
        base = base or self.weth
        hops, token, amount = [], base, amount_in
        for pool in route:
            out_token = pool.token1 if token == pool.token0 else pool.token0
            out = self.quote(pool, token, amount)
            spec = PoolSpec(pool.address, pool.protocol, (pool.token0, pool.token1), pool.fee_pips)
            hop = Hop(pool.address, token, out_token)
            hops.append(TradeHop(hop, spec, amount, out))
            token, amount = out_token, out
        return Trade(1, base, tuple(hops), amount - amount_in, 0, 0, 0, self.number)


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text[2:]))
