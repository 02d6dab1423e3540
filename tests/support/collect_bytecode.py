"""Collect the contracts' ABI and bytecode from npm packages into ``fixtures/bytecode``.

Run ``python -m tests.support.collect_bytecode NODE_MODULES [NODE_MODULES ...]``: each directory is searched in order
for ``<package>/package.json``. The result is byte-equal for the same package versions, so that ``git diff`` shows
whether a fixture still is what the package holds. A version other than the one named here is refused.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "bytecode"

V2_CORE = "@uniswap/v2-core@1.0.1"
V2_PERIPHERY = "@uniswap/v2-periphery@1.1.0-beta.0"
V3_CORE = "@uniswap/v3-core@1.0.1"
V3_PERIPHERY = "@uniswap/v3-periphery@1.4.4"
PANCAKE_V2 = "@pancakeswap-libs/pancake-swap-core@0.1.0"
PANCAKE_V3 = "@pancakeswap/v3-core@1.0.2"
SUSHI = "@sushiswap/core@2.0.0-canary.1"
BALANCER = "@balancer-labs/v2-deployments@3.2.0"
WETH = "canonical-weth@1.4.0"
V4_CORE = "@uniswap/v4-core@1.0.2"

METADATA_END = "64736f6c63430007010033"
"""How code of the compiler 0.7.1 ends."""

LICENSES = {
    # v3-core's change date has passed: see the LICENSE file in the package.
    V3_CORE: "BUSL-1.1, since 2023-04-01 GPL-2.0-or-later",
    V4_CORE: "BUSL-1.1, from 2027-06-15 MIT",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where one contract's artifact stands: ``package@version`` and the path inside it.

    ``made``: the artifact is that of a factory, whose creation code ends with that of what it makes.
    """

    package: str
    path: str
    deployed: bool = False
    made: bool = False


SOURCES = {
    "UniswapV2Factory": Source(V2_CORE, "build/UniswapV2Factory.json"),
    "UniswapV2Pair": Source(V2_CORE, "build/UniswapV2Pair.json"),
    "UniswapV2Router02": Source(V2_PERIPHERY, "build/UniswapV2Router02.json"),
    "WETH9": Source(WETH, "build/contracts/WETH9.json", deployed=True),
    "UniswapV3Factory": Source(V3_CORE, "artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json"),
    "UniswapV3Pool": Source(V3_CORE, "artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json"),
    "SwapRouter": Source(V3_PERIPHERY, "artifacts/contracts/SwapRouter.sol/SwapRouter.json"),
    "NonfungiblePositionManager": Source(
        V3_PERIPHERY, "artifacts/contracts/NonfungiblePositionManager.sol/NonfungiblePositionManager.json"
    ),
    "QuoterV2": Source(V3_PERIPHERY, "artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json"),
    "PancakeV2Factory": Source(PANCAKE_V2, "build/PancakeFactory.json"),
    "PancakeV2Pair": Source(PANCAKE_V2, "build/PancakePair.json"),
    "PancakeV3Factory": Source(PANCAKE_V3, "artifacts/contracts/PancakeV3Factory.sol/PancakeV3Factory.json"),
    "PancakeV3Pool": Source(PANCAKE_V3, "artifacts/contracts/PancakeV3Pool.sol/PancakeV3Pool.json"),
    "SushiV2Factory": Source(SUSHI, "artifacts/contracts/uniswapv2/UniswapV2Factory.sol/UniswapV2Factory.json"),
    "SushiV2Pair": Source(SUSHI, "artifacts/contracts/uniswapv2/UniswapV2Pair.sol/UniswapV2Pair.json"),
    "UniswapV4PoolManager": Source(V4_CORE, "out/PoolManager.sol/PoolManager.json"),
    "BalancerVault": Source(BALANCER, "dist/tasks/20210418-vault/artifact/Vault.json"),
    "BalancerFeePercentages": Source(
        BALANCER, "dist/tasks/20220725-protocol-fee-percentages-provider/artifact/ProtocolFeePercentagesProvider.json"
    ),
    "BalancerWeightedV1": Source(BALANCER, "dist/tasks/20210418-weighted-pool/bytecode/WeightedPool.json"),
    "BalancerWeighted2TokensV1": Source(
        BALANCER, "dist/tasks/20210418-weighted-pool/bytecode/WeightedPool2Tokens.json"
    ),
    "BalancerWeightedV2": Source(BALANCER, "dist/tasks/20220908-weighted-pool-v2/bytecode/WeightedPool.json"),
    "BalancerWeightedV3": Source(BALANCER, "dist/tasks/20230206-weighted-pool-v3/artifact/WeightedPool.json"),
    "BalancerStableV1": Source(
        BALANCER, "dist/tasks/20220906-composable-stable-pool/bytecode/ComposableStablePool.json"
    ),
    "BalancerStableV2": Source(
        BALANCER, "dist/tasks/20221122-composable-stable-pool-v2/artifact/ComposableStablePoolFactory.json", made=True
    ),
    "BalancerStableV3": Source(
        BALANCER, "dist/tasks/20230206-composable-stable-pool-v3/artifact/ComposableStablePool.json"
    ),
}


def package_directory(name: str, version: str, roots: list[Path]) -> Path:
    """The first directory below ``roots`` that holds exactly this version of the package."""
    found = []
    for root in roots:
        manifest = root / name / "package.json"
        if manifest.is_file():
            have = json.loads(manifest.read_text())["version"]
            if have == version:
                return manifest.parent
            found.append(f"{have} in {root}")
    raise SystemExit(f"{name}@{version} not found (have: {', '.join(found) or 'none'}); npm install {name}@{version}")


def hex_code(artifact: dict[str, Any], key: str) -> str:
    """The code of a truffle, waffle or hardhat artifact as ``0x`` + hex, without unlinked libraries."""
    code: str = artifact[key].removeprefix("0x")
    bytes.fromhex(code)
    return "0x" + code


def plain_abi(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ABI without compiler notes (``internalType``, gas estimates)."""

    def parameter(item: dict[str, Any]) -> dict[str, Any]:
        kept = {key: item[key] for key in ("name", "type", "indexed") if key in item}
        return kept | ({"components": [parameter(part) for part in item["components"]]} if "components" in item else {})

    result = []
    for entry in entries:
        kept = {key: entry[key] for key in ("type", "name", "stateMutability", "anonymous") if key in entry}
        for side in ("inputs", "outputs"):
            if side in entry:
                kept[side] = [parameter(item) for item in entry[side]]
        result.append(kept)
    return result


def read_artifact(path: Path) -> dict[str, Any]:
    """An artifact with ``abi`` and ``bytecode``; Balancer keeps some in two files, Foundry's code is an object."""
    artifact: dict[str, Any] = json.loads(path.read_text())
    if "creationCode" in artifact:
        abi = json.loads((path.parents[1] / "abi" / path.name).read_text())
        return {"abi": abi, "bytecode": artifact["creationCode"]}
    if isinstance(artifact["bytecode"], dict):
        return {"abi": artifact["abi"], "bytecode": artifact["bytecode"]["object"]}
    return artifact


def made_by(factory: dict[str, Any]) -> dict[str, Any]:
    """The artifact of what a factory makes: the code behind the metadata that ends the factory's own. No ABI."""
    head, _, made = factory["bytecode"].partition(METADATA_END)
    if made.count(METADATA_END) != 1:
        raise SystemExit(f"the factory's {len(head)} digits of code are not followed by those of one other contract")
    return {"abi": [], "bytecode": made}


def collect(name: str, source: Source, roots: list[Path]) -> str:
    """The text of ``<name>.json``: one ABI entry a line, then the code."""
    package, _, version = source.package.rpartition("@")
    directory = package_directory(package, version, roots)
    manifest = json.loads((directory / "package.json").read_text())
    artifact = read_artifact(directory / source.path)
    if source.made:
        artifact = made_by(artifact)
    head = {
        "name": name,
        "package": package,
        "version": version,
        "path": source.path,
        "license": LICENSES.get(source.package) or manifest["license"],
    }
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    entries = ",\n".join("    " + json.dumps(entry, separators=(",", ":")) for entry in plain_abi(artifact["abi"]))
    lines.append(f'  "abi": [\n{entries}\n  ]' if entries else '  "abi": []')
    lines.append(f'  "bytecode": "{hex_code(artifact, "bytecode")}"')
    if source.deployed:
        lines.append(f'  "deployed_bytecode": "{hex_code(artifact, "deployedBytecode")}"')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Write every fixture."""
    roots = [Path(argument) for argument in sys.argv[1:]]
    if not roots:
        raise SystemExit(__doc__)
    OUT.mkdir(parents=True, exist_ok=True)
    for name, source in SOURCES.items():
        (OUT / f"{name}.json").write_text(collect(name, source, roots))


if __name__ == "__main__":
    main()
