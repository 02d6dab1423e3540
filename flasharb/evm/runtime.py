"""What generated code calls: the opcodes that need more than an expression, on the flat state.

The rules are py-evm's (its Berlin to Prague logic, in the order in which it charges and reads), written without its
layers. ``c`` is the computation, ``m`` its memory, ``g`` the gas that remains. Who returns ``g`` has charged it; gas
below zero ends the frame before anything is read that the frame could not have paid for.
"""

# ruff: noqa: PLR0913, PLR0917 - an opcode takes as many words as it takes, and generated code passes them by position.
from __future__ import annotations

from typing import Any, Final

from eth import constants
from eth.exceptions import InvalidJumpDestination, OutOfBoundsRead, OutOfGas, Revert, WriteProtection
from eth.vm.forks.berlin.constants import COLD_ACCOUNT_ACCESS_COST, COLD_SLOAD_COST, WARM_STORAGE_READ_COST
from eth.vm.forks.spurious_dragon.constants import GAS_EXPBYTE_EIP160
from eth.vm.logic.storage import NetSStoreGasSchedule
from eth_hash.auto import keccak

WORD: Final = (1 << 256) - 1
SIGN: Final = 1 << 255
_ADDRESS: Final = (1 << 160) - 1
_SSTORE_STIPEND: Final = 2300
_MAX_HASHES: Final = 50_000

_from_bytes: Final = int.from_bytes
_hashes: Final[dict[bytes, int]] = {}


def out_of_gas(_computation: Any = None) -> None:
    """End the frame: a straight stretch of code cost more than there was."""
    raise OutOfGas("Out of gas")


def bad_jump(destination: int) -> None:
    """End the frame: no JUMPDEST there."""
    raise InvalidJumpDestination(f"Invalid Jump Destination {destination}")


# Arithmetic of signed words


def signed_div(a: int, b: int) -> int:
    """SDIV."""
    if not b:
        return 0
    a = a - (1 << 256) if a & SIGN else a
    b = b - (1 << 256) if b & SIGN else b
    quotient = abs(a) // abs(b)
    return (quotient if (a < 0) == (b < 0) else -quotient) & WORD


def signed_mod(a: int, b: int) -> int:
    """SMOD."""
    if not b:
        return 0
    a = a - (1 << 256) if a & SIGN else a
    b = b - (1 << 256) if b & SIGN else b
    rest = abs(a) % abs(b)
    return (-rest if a < 0 else rest) & WORD


def sign_extend(size: int, value: int) -> int:
    """SIGNEXTEND."""
    if size > 30:
        return value
    sign = 8 * size + 7
    low = (1 << sign) - 1
    return value | (WORD ^ low) if value >> sign & 1 else value & low


def shift_right_signed(shift: int, value: int) -> int:
    """SAR."""
    if value & SIGN:
        return WORD if shift > 255 else ((value - (1 << 256)) >> shift) & WORD
    return 0 if shift > 255 else value >> shift


def power(base: int, exponent: int, g: int) -> tuple[int, int]:
    """EXP."""
    return g - GAS_EXPBYTE_EIP160 * ((exponent.bit_length() + 7) >> 3), pow(base, exponent, 1 << 256)


# Memory


def extend(m: bytearray, end: int, g: int) -> int:
    """Grow the memory so that it reaches ``end``, which is beyond it."""
    before, after = len(m) >> 5, (end + 31) >> 5
    g -= constants.GAS_MEMORY * (after - before)
    quadratic = constants.GAS_MEMORY_QUADRATIC_DENOMINATOR
    g -= after * after // quadratic - before * before // quadratic
    if g < 0:
        raise OutOfGas("Out of gas: memory")
    m.extend(bytes((after - before) << 5))
    return g


def sha3(c: Any, m: bytearray, start: int, size: int) -> int:
    """KECCAK256 of memory that is there already; hashes of mapping keys are remembered."""
    data = bytes(m[start : start + size])
    value = _hashes.get(data)
    if value is None:
        value = _from_bytes(keccak(data), "big")
        if size <= 96:
            if len(_hashes) > _MAX_HASHES:
                _hashes.clear()
            _hashes[data] = value
    if size == 64:
        preimages = c.state.preimages
        if preimages is not None:
            preimages[value] = data
    return value


def copy_padded(m: bytearray, to: int, data: bytes, start: int, size: int, g: int) -> int:
    """CALLDATACOPY and CODECOPY."""
    g -= constants.GAS_COPY * ((size + 31) >> 5)
    if g < 0:
        out_of_gas()
    if size:
        end = to + size
        if end > len(m):
            g = extend(m, end, g)
        m[to:end] = data[start : start + size].ljust(size, b"\0")
    return g


def copy_return_data(c: Any, m: bytearray, to: int, start: int, size: int, g: int) -> int:
    """RETURNDATACOPY."""
    data = c.return_data
    if start + size > len(data):
        raise OutOfBoundsRead(f"Return data has {len(data)} bytes, asked for {start} to {start + size}")
    return copy_padded(m, to, data, start, size, g)


def copy_memory(m: bytearray, to: int, start: int, size: int, g: int) -> int:
    """MCOPY."""
    g -= constants.GAS_COPY * ((size + 31) >> 5)
    if g < 0:
        out_of_gas()
    if size:
        end = max(to, start) + size
        if end > len(m):
            g = extend(m, end, g)
        m[to : to + size] = m[start : start + size]
    return g


# Storage


def load_slot(c: Any, slot: int, g: int) -> tuple[int, int]:
    """SLOAD."""
    db = c.db
    address = c.address
    key = (address, slot)
    warm = db.warm_slots
    if key in warm:
        g -= WARM_STORAGE_READ_COST
    else:
        g -= COLD_SLOAD_COST
        db.mark_storage_warm(address, slot)
    if g < 0:
        out_of_gas()
    try:
        return g, db.slots[address][slot]
    except KeyError:
        return g, db.get_storage(address, slot)


def store_slot(c: Any, slot: int, value: int, g: int, schedule: NetSStoreGasSchedule) -> int:
    """SSTORE (EIP-2200, EIP-2929, EIP-3529) under a gas schedule of py-evm's."""
    if c.msg.is_static:
        raise WriteProtection("Cannot modify state while inside of a STATICCALL context")
    if g <= _SSTORE_STIPEND:
        raise OutOfGas("Net-metered SSTORE always fails below 2300 gas, per EIP-2200")
    db, address = c.db, c.address
    current = db.get_storage(address, slot)
    key = (address, slot)
    cost, refund = _store_price(current, db.originals.get(key, current), value, schedule)
    g -= cost
    c._gas_meter.gas_refunded += refund
    if g < 0:
        out_of_gas()
    db.set_storage(address, slot, value)
    if key not in db.warm_slots:
        g -= COLD_SLOAD_COST
        db.mark_storage_warm(address, slot)
        if g < 0:
            out_of_gas()
    return g


def _store_price(current: int, original: int, value: int, schedule: NetSStoreGasSchedule) -> tuple[int, int]:
    """Gas and refund of writing ``value`` over ``current``."""
    read, fresh, reset, clears = schedule
    if current == value:
        return read, 0
    if original == current:
        if original == 0:
            return fresh, 0
        return reset, 0 if value else clears
    refund = 0
    if original != 0:
        refund = (clears if value == 0 else 0) - (clears if current == 0 else 0)
    if original == value:
        refund += (reset if original else fresh) - read
    return read, refund


def load_transient(c: Any, slot: int) -> int:
    """TLOAD."""
    return _from_bytes(c.db.transient.get((c.address, slot), b""), "big")


def store_transient(c: Any, slot: int, value: int) -> None:
    """TSTORE."""
    if c.msg.is_static:
        raise WriteProtection("Cannot modify state while inside of a STATICCALL context")
    c.db.set_transient(c.address, slot, value.to_bytes(32, "big"))


def log(c: Any, m: bytearray, start: int, size: int, topics: tuple[int, ...], g: int) -> int:
    """LOG0 to LOG4."""
    if c.msg.is_static:
        raise WriteProtection("Cannot modify state while inside of a STATICCALL context")
    g -= constants.GAS_LOGDATA * size + constants.GAS_LOGTOPIC * len(topics)
    if g < 0:
        out_of_gas()
    if size and start + size > len(m):
        g = extend(m, start + size, g)
    c._log_entries.append((c.msg.depth, c.address, topics, bytes(m[start : start + size])))
    return g


# Accounts


def _access(c: Any, address: bytes, g: int) -> int:
    db = c.db
    if address in db.warm_addresses or address in c._precompiles:
        g -= WARM_STORAGE_READ_COST
    else:
        db.mark_address_warm(address)
        g -= COLD_ACCOUNT_ACCESS_COST
    if g < 0:
        out_of_gas()
    return g


def balance(c: Any, word: int, g: int) -> tuple[int, int]:
    """BALANCE."""
    address = (word & _ADDRESS).to_bytes(20, "big")
    g = _access(c, address, g)
    return g, c.db.get_balance(address)


def code_size(c: Any, word: int, g: int) -> tuple[int, int]:
    """EXTCODESIZE."""
    address = (word & _ADDRESS).to_bytes(20, "big")
    g = _access(c, address, g)
    return g, len(c.db.get_code(address))


def code_hash(c: Any, word: int, g: int) -> tuple[int, int]:
    """EXTCODEHASH."""
    address = (word & _ADDRESS).to_bytes(20, "big")
    g = _access(c, address, g)
    db = c.db
    return g, 0 if db.account_is_empty(address) else _from_bytes(db.get_code_hash(address), "big")


# Leaving


def give_back(c: Any, m: bytearray, start: int, size: int, g: int) -> None:
    """RETURN: set the output; the caller leaves the frame."""
    if size:
        end = start + size
        if end > len(m):
            g = extend(m, end, g)
        c._output = bytes(m[start:end])
    else:
        c._output = b""
    c._gas_meter.gas_remaining = g


def revert(c: Any, m: bytearray, start: int, size: int, g: int) -> None:
    """REVERT."""
    give_back(c, m, start, size, g)
    raise Revert(c._output)


# Calls


def _code_at(c: Any, address: bytes, g: int) -> tuple[int, bytes, bytes | None]:
    """The code to run at an address, behind a delegation (EIP-7702) where the fork knows them."""
    db = c.db
    g = _access(c, address, g)
    try:
        code = db.codes[address]
    except KeyError:
        code = db.get_code(address)
    if c.follows_delegations and code[:3] == b"\xef\x01\x00" and len(code) == 23:
        target = code[3:]
        g = _access(c, target, g)
        return g, db.get_code(target), target
    return g, code, None


def _call_memory(m: bytearray, start: int, size: int, out_start: int, out_size: int, g: int) -> tuple[int, bytes]:
    if size:
        end = start + size
        if end > len(m):
            g = extend(m, end, g)
        if out_size and out_start + out_size > len(m):
            g = extend(m, out_start + out_size, g)
        return g, bytes(m[start:end])
    if out_size and out_start + out_size > len(m):
        g = extend(m, out_start + out_size, g)
    return g, b""


def call(
    c: Any, m: bytearray, gas: int, to: int, value: int, start: int, size: int, out_start: int, out_size: int, g: int
) -> int:
    """CALL; 1 for success. The gas that remains is in the meter."""
    if value and c.msg.is_static:
        raise WriteProtection("Cannot modify state while inside of a STATICCALL context")
    g, data = _call_memory(m, start, size, out_start, out_size, g)
    address = (to & _ADDRESS).to_bytes(20, "big")
    g, code, delegation = _code_at(c, address, g)
    db = c.db
    # py-evm asks for the account whatever the value.
    dead = not db.account_exists(address) or db.account_is_empty(address)
    stipend = 0
    if value:
        g -= constants.GAS_CALLVALUE + (constants.GAS_NEWACCOUNT if dead else 0)
        stipend = constants.GAS_CALLSTIPEND
    if g < 0:
        out_of_gas()
    gas = min(gas, g - (g >> 6))
    g -= gas
    gas += stipend
    meter = c._gas_meter
    if (value and db.get_balance(c.address) < value) or c.msg.depth >= constants.STACK_DEPTH_LIMIT:
        c.return_data = b""
        meter.gas_remaining = g + gas
        return 0
    meter.gas_remaining = g
    is_static = c.msg.is_static
    return _enter(c, m, gas, address, c.address, value, data, code, delegation, True, is_static, out_start, out_size)


def static_call(
    c: Any, m: bytearray, gas: int, to: int, start: int, size: int, out_start: int, out_size: int, g: int
) -> int:
    """STATICCALL; 1 for success. The gas that remains is in the meter."""
    g, data = _call_memory(m, start, size, out_start, out_size, g)
    address = (to & _ADDRESS).to_bytes(20, "big")
    g, code, delegation = _code_at(c, address, g)
    db = c.db
    if address not in db.existing:
        db.account_exists(address)
    gas = min(gas, g - (g >> 6))
    g -= gas
    meter = c._gas_meter
    if c.msg.depth >= constants.STACK_DEPTH_LIMIT:
        c.return_data = b""
        meter.gas_remaining = g + gas
        return 0
    meter.gas_remaining = g
    return _enter(c, m, gas, address, c.address, 0, data, code, delegation, False, True, out_start, out_size)


def delegate_call(
    c: Any, m: bytearray, gas: int, to: int, start: int, size: int, out_start: int, out_size: int, g: int
) -> int:
    """DELEGATECALL; 1 for success. The gas that remains is in the meter."""
    g, data = _call_memory(m, start, size, out_start, out_size, g)
    address = (to & _ADDRESS).to_bytes(20, "big")
    g, code, delegation = _code_at(c, address, g)
    gas = min(gas, g - (g >> 6))
    g -= gas
    message = c.msg
    meter = c._gas_meter
    if message.depth >= constants.STACK_DEPTH_LIMIT:
        c.return_data = b""
        meter.gas_remaining = g + gas
        return 0
    meter.gas_remaining = g
    child = c.child(
        gas,
        c.address,
        message.sender,
        message.value,
        data,
        code,
        delegation or address,
        False,
        message.is_static,
        delegation is not None,
    )
    return _finish(c, m, child, out_start, out_size)


def _enter(
    c: Any,
    m: bytearray,
    gas: int,
    to: bytes,
    sender: bytes,
    value: int,
    data: bytes,
    code: bytes,
    delegation: bytes | None,
    transfers: bool,
    is_static: bool,
    out_start: int,
    out_size: int,
) -> int:
    child = c.child(gas, to, sender, value, data, code, delegation, transfers, is_static, delegation is not None)
    return _finish(c, m, child, out_start, out_size)


def _finish(c: Any, m: bytearray, child: Any, out_start: int, out_size: int) -> int:
    """Take over what a call left: return data, output in memory, gas."""
    error = child._error
    c.absorb(child)
    if error is not None and error.erases_return_data:
        # Such an error has burnt the gas as well.
        c.return_data = b""
        return 0
    output = child._output
    c.return_data = output
    if out_size:
        if len(output) > out_size:
            output = output[:out_size]
        m[out_start : out_start + len(output)] = output
    c._gas_meter.gas_remaining += child._gas_meter.gas_remaining
    return 1 if error is None else 0
