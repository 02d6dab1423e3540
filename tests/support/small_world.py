"""A world of a few deployed contracts, to run one thing in."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode

from flasharb.evm import Account, BlockContext, CallResult, DictState, Fork, Machine, UnsignedTransaction
from flasharb.units import Address
from tests.support.contract_world import call_data, compiled
from tests.support.pool_bytecode import CONTEXT, SENDER


class SmallWorld:
    """Deploys compiled test contracts and calls them, each call a transaction of SENDER."""

    def __init__(self, context: BlockContext = CONTEXT) -> None:
        self.context = context
        self.state = DictState({})

    def machine(self) -> Machine:
        """A machine on what is there now."""
        return Machine(self.state, self.context, Fork.PRAGUE)

    def deploy(self, name: str, types: Sequence[str] = (), arguments: Sequence[object] = ()) -> Address:
        """Deploy an artifact of ours."""
        code = bytes.fromhex(compiled(name)["bytecode"][2:]) + encode(list(types), list(arguments))
        return self.create(code)

    def create(self, code: bytes) -> Address:
        """Deploy creation code."""
        created = self._apply(None, code)
        assert created is not None
        return Address(created)

    def send(self, to: Address, signature: str, *arguments: object) -> None:
        """A call that must succeed."""
        self._apply(to, call_data(signature, *arguments))

    def act(self, sender: Address, to: Address, signature: str, *arguments: object) -> CallResult:
        """A call as anybody, kept whether it succeeds or not."""
        machine = self.machine()
        result = machine.act(sender, to, call_data(signature, *arguments), origin=SENDER)
        self.state.apply(machine.diff())
        return result

    def read(self, to: Address, signature: str, *arguments: object) -> int:
        """The number that a view answers."""
        result = self.machine().call(to, call_data(signature, *arguments))
        assert result.success, (signature, result.error, result.output.hex())
        return int.from_bytes(result.output[:32], "big")

    def put_code(self, at: Address, code: bytes) -> None:
        """A contract that nobody deployed."""
        self.state.set_account(at, Account(nonce=1, code=code))

    def _apply(self, to: Address | None, data: bytes) -> bytes | None:
        machine = self.machine()
        fees = {"max_fee_per_gas": 0, "max_priority_fee_per_gas": 0}
        transaction = UnsignedTransaction(
            sender=SENDER, to=to, data=data, value=0, nonce=machine.nonce(SENDER), gas_limit=1 << 30, **fees
        )
        result = machine.apply(transaction)
        assert result.status == 1, (result.error, result.output.hex())
        self.state.apply(machine.diff())
        return result.contract_address
