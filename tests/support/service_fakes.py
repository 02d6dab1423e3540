"""In-memory stand-ins for the chain behind the service's stages, small enough to be read at a glance."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from eth_hash.auto import keccak

from flasharb.adapters.chain import Landing
from flasharb.adapters.pool_loader import Loaded
from flasharb.errors import NodeError
from flasharb.execution.inclusion import Receipt
from flasharb.execution.realised import Holdings
from flasharb.feed.events import BlockHeader, PoolEvent
from flasharb.market.snapshot import Market
from flasharb.pools import Pool, V2Pool
from flasharb.pools.register import Refused, Register
from flasharb.pools.spec import PoolSpec, Token
from flasharb.units import WEI_PER_ETH, Address, Hash32

WETH = Address(b"\x11" * 20)
USDC = Address(b"\x22" * 20)
CHEAP = Address(b"\xa1" * 20)
DEAR = Address(b"\xa2" * 20)
CONTRACT = Address(b"\xc0" * 20)
SENDER = Address(b"\x5e" * 20)
TOKENS = (Token(WETH, "WETH", 18), Token(USDC, "USDC", 6))


def spec(address: Address) -> PoolSpec:
    return PoolSpec(address, "uniswap_v2", (WETH, USDC), 3000)


def pool(address: Address, weth: int, usdc: int) -> V2Pool:
    return V2Pool(spec(address), weth * WEI_PER_ETH, usdc * 10**6)


def block_hash(number: int, branch: str = "") -> Hash32:
    return Hash32(keccak(f"{branch}{number}".encode()))


def header(number: int, branch: str = "", parent_branch: str | None = None) -> BlockHeader:
    return BlockHeader(
        number=number,
        hash=block_hash(number, branch),
        parent_hash=block_hash(number - 1, branch if parent_branch is None else parent_branch),
        timestamp=1_000_000 + 12 * number,
        base_fee_per_gas=10**9,
        gas_used=15_000_000,
        gas_limit=30_000_000,
        coinbase=Address(b"\xfe" * 20),
    )


@dataclass
class FakeChain:
    """Headers, pool states at each block, receipts and holdings, as a node would tell them."""

    headers: dict[int, BlockHeader] = field(default_factory=dict)
    pools: dict[int, dict[Address, Pool]] = field(default_factory=dict)
    receipts: dict[Hash32, Receipt] = field(default_factory=dict)
    account_nonce: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    failing: bool = False
    loads: list[tuple[frozenset[Address] | None, int]] = field(default_factory=list)
    refused: dict[Address, str] = field(default_factory=dict)
    tracked: Collection[Address] | None = None
    """What is loaded where nothing is asked for by name; None: all."""
    public: list[bytes] = field(default_factory=list)
    logs: dict[int, tuple[PoolEvent, ...]] = field(default_factory=dict)
    probed: frozenset[Address] = frozenset()
    creations: dict[int, tuple[PoolSpec, ...]] = field(default_factory=dict)
    created_failing: bool = False
    asked_created: list[tuple[int, int]] = field(default_factory=list)

    def grow(self, last: int, pools: Iterable[Pool], branch: str = "", first: int = 0) -> None:
        """Blocks up to ``last`` with the same pools in each."""
        for number in range(first, last + 1):
            parent_branch = "" if number == first else branch
            self.headers[number] = header(number, branch, parent_branch)
            self.pools[number] = {one.spec.address: one for one in pools}

    @property
    def head(self) -> int:
        return max(self.headers)

    def _alive(self) -> None:
        if self.failing:
            raise NodeError("the fake node is away")

    async def header(self, number: int | None) -> BlockHeader | None:
        self._alive()
        return self.headers.get(self.head if number is None else number)

    async def load(self, only: Iterable[Address] | None, header: BlockHeader) -> Loaded:
        self._alive()
        wanted = None if only is None else frozenset(only)
        self.loads.append((wanted, header.number))
        state = self.pools[header.number]
        these = self.tracked if wanted is None else wanted
        asked = {address: one for address, one in state.items() if these is None or address in these}
        return Loaded(
            tuple(one for address, one in asked.items() if address not in self.refused),
            {address: self.refused[address] for address in asked if address in self.refused},
        )

    async def reread(self, header: BlockHeader) -> Loaded:
        self._alive()
        state = self.pools.get(header.number, {})
        return Loaded(
            tuple(state[at] for at in self.probed if at in state and at not in self.refused),
            {at: self.refused[at] for at in self.probed if at in self.refused},
        )

    async def unheard(self, header: BlockHeader) -> tuple[PoolEvent, ...]:
        self._alive()
        return self.logs.get(header.number, ())

    async def native_usd(self, header: BlockHeader) -> Decimal | None:
        return None

    async def created(self, first: int, last: int, register: Register) -> list[Refused]:
        self._alive()
        self.asked_created.append((first, last))
        if self.created_failing:
            raise NodeError("the fake node does not tell logs")
        found = [spec for number in range(first, last + 1) for spec in self.creations.get(number, ())]
        return [one for spec in found if (one := register.offer(spec, "a factory")) is not None]

    def empty_market(self, header: BlockHeader) -> Market:
        return Market.load(header.number, (), TOKENS, block=header)

    async def send_publicly(self, raw: bytes) -> None:
        self.public.append(raw)

    async def nonce(self, header: BlockHeader) -> int:
        self._alive()
        return self.account_nonce

    async def landing(self, transactions: tuple[Hash32, ...]) -> Landing:
        self._alive()
        return Landing(self.head, self.account_nonce, tuple(self.receipts.get(one) for one in transactions))

    async def holdings(self, token: Address, number: int) -> Holdings:
        self._alive()
        return Holdings(number, self.balances.get(number, 0), 0, 10 * WEI_PER_ETH)

    def include(self, tx_hash: Hash32, number: int, status: int = 1) -> None:
        """A transaction of ours stands in block ``number``."""
        self.receipts[tx_hash] = Receipt(tx_hash, number, self.headers[number].hash, status, 100_000, 10**9)
        self.account_nonce += 1


def with_reserves(one: V2Pool, weth: int, usdc: int) -> V2Pool:
    return replace(one, reserve0=weth * WEI_PER_ETH, reserve1=usdc * 10**6)
