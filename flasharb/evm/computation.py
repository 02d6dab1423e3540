"""py-evm's computation, with the few things changed that cost dearly or are not as on the chain.

* SHA3 notes 64-byte inputs in ``state.preimages``, which is how a source learns whose mapping slot it is asked for.
* SELFDESTRUCT loses the wrapper that issues a Python warning at every execution.
* Precompiles are those of ``flasharb.evm.precompiles``.
* The initcode charge is taken once: py-evm takes it again for a CREATE of a delegating (EIP-7702) transaction sender.
"""

from __future__ import annotations

from typing import Any, Final

from eth import constants
from eth._utils.numeric import ceil32
from eth.vm import mnemonics, opcode_values
from eth.vm.opcode import as_opcode
from eth_hash.auto import keccak

from flasharb.evm.precompiles import precompiles_of


def noting_sha3(computation: Any) -> None:
    """SHA3 that keeps the preimages of mapping slots."""
    start_position, size = computation.stack_pop_ints(2)
    computation.extend_memory(start_position, size)
    data = computation.memory_read_bytes(start_position, size)
    computation.consume_gas(constants.GAS_SHA3WORD * (ceil32(size) // 32), reason="SHA3: word gas cost")
    digest = keccak(data)
    if size == 64:
        preimages = computation.state.preimages
        if preimages is not None:
            preimages[int.from_bytes(digest, "big")] = bytes(data)
    computation.stack_push_bytes(digest)


_NOTING_SHA3: Final = as_opcode(logic_fn=noting_sha3, mnemonic=mnemonics.SHA3, gas_cost=constants.GAS_SHA3)


def opcodes_of(computation_class: Any) -> dict[int, Any]:
    """The opcodes of a py-evm computation class, with the noting SHA3 and without warnings."""
    opcodes = {code: getattr(function, "__wrapped__", function) for code, function in computation_class.opcodes.items()}
    opcodes[opcode_values.SHA3] = _NOTING_SHA3
    return opcodes


def corrected(base: Any) -> Any:
    """The computation class ``base`` with its rules as they are on the chain."""

    class Corrected(base):  # type: ignore[misc]  # one class per fork, made from py-evm's
        opcodes = opcodes_of(base)
        _precompiles = precompiles_of(base)

        @classmethod
        def consume_initcode_gas_cost(cls, computation: Any) -> None:
            if computation.msg.depth == 0:
                super().consume_initcode_gas_cost(computation)

    Corrected.__name__ = Corrected.__qualname__ = f"Corrected{base.__name__}"
    return Corrected


def plain(base: Any) -> Any:
    """The computation class ``base`` as py-evm has it; only its SHA3 notes preimages and its warnings are off."""
    return type(f"Plain{base.__name__}", (base,), {"opcodes": opcodes_of(base)})
