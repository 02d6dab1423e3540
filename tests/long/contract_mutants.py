"""Does a test notice when a safeguard of FlashArb is taken out? ``python -m tests.long.contract_mutants`` (Node.js).

Each mutant is the source with one safeguard less, and names the contract tests that guard it. It is compiled apart and
they run on it; a mutant on which none of them fails is reported, with exit code 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = "src/FlashArb.sol"
ARTIFACT_VARIABLE: Final = "FLASHARB_MUTANT_ARTIFACT"


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is left out, as replacements in the source; each old text must be there. ``guard``: the tests, as for -k."""

    name: str
    guard: str
    changes: tuple[tuple[str, str], ...]


def _mutant(name: str, guard: str, *changes: tuple[str, str]) -> Mutant:
    return Mutant(name, guard, changes)


PASS_ON: Final = "{ passOn() }"
CURVE_CALL: Final = "call(gas(), pool, value, 0x1c, size, 0, 0)"
VAULT_SWAP: Final = "0x1c, 0x1c4, 0, 0)) { passOn() }\n"
VAULT_BATCH: Final = "0x1c, add(limits, add(4, shl(5, add(count, 1)))), 0, 0)) { passOn() }\n"
REVOKED: Final = "                revoke(token, vault_)"
CHECK: Final = "or(lt(after, required), tload(AWAITED))"
NO: Final = "if or(returndatasize(), iszero(extcodesize(token))) { fail(TRANSFER_FAILED, token) }"

EVERYTHING: Final = "APPROVE_SELECTOR, token, spender, not(0)"
END: Final = "\n                }\n            }\n\n            // --- Uniswap V4"

MUTANTS: Final = (
    _mutant(
        "a callback may come from anybody",
        "same_program_from_another_caller",
        ("mstore(length, caller())", "mstore(length, 0)"),
        ("mstore(add(data, length), target)", "mstore(add(data, length), 0)"),
    ),
    _mutant(
        "a callback may bring any program",
        "awaited_pool_can_only_return",
        ("keccak256(0, add(length, 0x20))", "keccak256(length, 0x20)"),
        ("keccak256(data, add(length, 0x20))", "keccak256(add(data, length), 0x20)"),
    ),
    _mutant("a callback may come twice", "awaited_pool_can_only_return", ("                tstore(AWAITED, 0)\n", "")),
    _mutant("a callback may be missing", "keeps_its_callback_for_later", (CHECK, "lt(after, required)")),
    _mutant("no profit check", "one_unit_more_than_the_profit", (CHECK, "tload(AWAITED)")),
    _mutant("ether from anybody", "plain_ether_is_refused", ("if eq(caller(), tload(PAYER)) { stop() }", "stop()")),
    _mutant(
        "ether from every pool",
        "pulls_gets_what_the_command_says",
        ("if and(coins, ETHER_OUT) { tstore(PAYER, pool) }", "tstore(PAYER, pool)"),
    ),
    _mutant(
        "ether from a pool after its swap",
        "ether_is_taken_from_the_pool",
        ("if and(coins, ETHER_OUT) { tstore(PAYER, 0) }", ""),
    ),
    _mutant(
        "ether from the manager after a take",
        "manager_pays_ether_during_a_take",
        ("if iszero(currency) { tstore(PAYER, 0) }", ""),
    ),
    _mutant(
        "a Curve pool keeps its allowance", "pulls_gets_what_the_command_says", ("if token { revoke(token, pool) }", "")
    ),
    _mutant(
        "a wrapper keeps its allowance", "pulls_gets_what_the_command_says", ("if token { revoke(token, vault_) }", "")
    ),
    _mutant(
        "the vault keeps its allowance after a swap",
        "pulls_gets_what_the_command_says",
        (VAULT_SWAP + REVOKED, VAULT_SWAP),
    ),
    _mutant(
        "the vault keeps its allowance after a batch",
        "pulls_gets_what_the_command_says",
        (VAULT_BATCH + REVOKED, VAULT_BATCH),
    ),
    _mutant(
        "approved for everything",
        "pulls_gets_what_the_command_says",
        ("(APPROVE_SELECTOR, token, spender, amount)", f"({EVERYTHING})"),
    ),
    _mutant("a token's no is a yes", "base_token_that_says_no", (NO, "")),
    _mutant(
        "a Curve pool's refusal goes unnoticed",
        "refusal_is_passed_on",
        (f"if iszero({CURVE_CALL}) {PASS_ON}", f"pop({CURVE_CALL})"),
    ),
    _mutant(
        "unknown commands do nothing",
        "free_op_byte_is_no_command",
        (f"default {{ fail(UNKNOWN_COMMAND, at) }}{END}", f"default {{ }}{END}"),
    ),
)


def artifact_of(mutant: Mutant, folder: Path) -> Path:
    """Compile the mutant in ``folder``."""
    for name in ("src", "test", "devnet"):
        shutil.copytree(REPOSITORY / "solidity" / name, folder / name)
    for name in ("build.mjs", "package.json"):
        shutil.copy(REPOSITORY / "solidity" / name, folder / name)
    recipe = folder / "build.mjs"
    recipe.write_text(recipe.read_text().replace("  ...tests(),\n", ""))  # the tests' own contracts stay as they are
    (folder / "node_modules").symlink_to(REPOSITORY / "solidity" / "node_modules")
    path = folder / SOURCE
    text = path.read_text()
    for old, new in mutant.changes:
        if old not in text:
            raise SystemExit(f"{mutant.name}: the source no longer has {old!r}")
        text = text.replace(old, new)
    path.write_text(text)
    built = subprocess.run(
        ["node", "build.mjs", "--out", "out"], cwd=folder, capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise SystemExit(f"{mutant.name} does not compile: {built.stderr}")
    return folder / "out/flasharb/execution/artifacts/FlashArb.json"


def caught(artifact: Path, guard: str) -> str | None:
    """The test that fails on this artifact, or None."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "tests.long.mutant_artifact", "-k", guard]
    command += ["-m", "not node", "tests/contract"]
    environment = os.environ | {ARTIFACT_VARIABLE: str(artifact)}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not lines:
        raise SystemExit(f"the tests did not run: {done.stdout}{done.stderr}")
    return lines[0]


def main() -> int:
    """Run all mutants; say what caught each."""
    survivors = 0
    for mutant in MUTANTS:
        with tempfile.TemporaryDirectory() as folder:
            found = caught(artifact_of(mutant, Path(folder)), mutant.guard)
        survivors += found is None
        print(f"{mutant.name}: {found or 'SURVIVES'}", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants caught")
    return int(survivors > 0)


if __name__ == "__main__":
    raise SystemExit(main())
