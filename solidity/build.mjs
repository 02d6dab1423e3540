// Compiles FlashArb, the devnet's own contracts and those of the tests with the pinned npm solc (WebAssembly: the same
// bytes everywhere) and writes the committed artifacts. `node build.mjs --check` writes nothing and fails when they
// differ.
// `--out DIR` writes below DIR instead of the repository.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const solc = require("solc");

const args = process.argv.slice(2);
const check = args.includes("--check");
const root = args.includes("--out") ? resolve(args[args.indexOf("--out") + 1]) : resolve(here, "..");

const settings = {
  // Cancun is the oldest fork with transient storage, by which callbacks are authenticated; Prague adds nothing we use.
  evmVersion: "cancun",
  viaIR: true,
  optimizer: { enabled: true, runs: 1000000 },
  // No metadata hash: the bytes depend on the code alone, not on comments or paths.
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

// Contract → the artifact written for it, relative to the repository; its licence where that is not MIT.
const targets = [
  ["src/FlashArb.sol", "FlashArb", "flasharb/execution/artifacts/FlashArb.json"],
  ["test/mocks/DevToken.sol", "DevToken", "fixtures/bytecode/DevToken.json"],
  ["test/mocks/NoReturnToken.sol", "NoReturnToken", "fixtures/bytecode/NoReturnToken.json"],
  ["test/mocks/V4User.sol", "V4User", "fixtures/bytecode/V4User.json"],
  ...devnet(),
  ...tests(),
];

function devnet() {
  return [
    ["devnet/StableSwap.sol", ["DevStableSwap", "DevStableSwapToken"]],
    ["devnet/Solidly.sol", ["DevSolidlyFactory", "DevSolidlyPair", "DevSolidlyRouter"]],
  ].flatMap(([file, names]) => names.map((name) => [file, name, `fixtures/bytecode/${name}.json`]));
}

function tests() {
  const folder = "tests/contract/artifacts";
  return [
    ["test/mocks/WeirdTokens.sol", ["ReturnsFalseToken", "FeeOnTransferToken", "RevertingToken", "HookToken"]],
    ["test/mocks/Hostile.sol", ["Stranger", "HostilePool", "HostilePuller", "RefusingCoinbase", "FeeVault"]],
    ["test/mocks/PoolUser.sol", ["PoolUser", "V3Deployer"]],
    ["test/mocks/V4User.sol", ["V4User"]],
    [
      "test/mocks/Pools.sol",
      ["CurveLike", "Erc4626Like", "ManagerLike", "ShareToken", "SolidlyLike", "VaultPool", "WstEthLike"],
    ],
    ["test/mocks/TrapTokens.sol", ["RebasingToken", "AccruingToken", "PausableToken", "SalmonellaToken", "NoZeroToken", "VerboseToken", "GreedyToken", "HoneypotToken"]],
    ["test/mocks/Vaults.sol", ["OpenZeppelinVault", "SoladyVault", "ExitFeeVault", "LyingVault", "StreamingVault", "CappedVault", "GatedVault"]],
    ["test/mocks/SolmateVault.sol", ["SolmateVault"], "AGPL-3.0-only"],
  ].flatMap(([file, names, license]) => names.map((name) => [file, name, `${folder}/${name}.json`, license]));
}

function source(path) {
  const own = ["src/", "test/", "devnet/"].some((folder) => path.startsWith(folder));
  return readFileSync(own ? join(here, path) : require.resolve(path), "utf8");
}

const read = {}; // every source that went in, for the source hash
function findImport(path) {
  try {
    read[path] = source(path);
    return { contents: read[path] };
  } catch (error) {
    return { error: String(error) };
  }
}

const sources = {};
for (const [file] of targets) {
  read[file] = source(file);
  sources[file] = { content: read[file] };
}
const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources,
      settings: {
        ...settings,
        outputSelection: {
          "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences", "metadata"], "": ["ast"] },
        },
      },
    }),
    { import: findImport },
  ),
);

// Two notices that FlashArb answers: 2394 on any use of transient storage (its one slot is cleared, as advised), 3628 on
// a payable fallback without receive (it takes ether from WETH alone).
const answered = ["2394", "3628"];
const problems = (output.errors ?? []).filter((e) => e.severity !== "info" && !answered.includes(e.errorCode));
for (const problem of problems) console.error(problem.formattedMessage);
if (problems.length > 0) process.exit(1); // warnings too: this contract holds money

// Names of the immutables, by the AST id under which the compiler lists their places in the code.
const immutables = {};
(function visit(node) {
  if (Array.isArray(node)) return node.forEach(visit);
  if (node === null || typeof node !== "object") return;
  if (node.nodeType === "VariableDeclaration" && node.mutability === "immutable") immutables[node.id] = node.name;
  Object.values(node).forEach(visit);
})(Object.values(output.sources).map((s) => s.ast));

function sourceHash(files) {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) hash.update(`${file}\0${read[file].replaceAll("\r\n", "\n")}\0`);
  return hash.digest("hex");
}

let different = 0;
for (const [file, name, path, license] of targets) {
  const contract = output.contracts[file][name];
  const references = Object.entries(contract.evm.deployedBytecode.immutableReferences)
    .map(([id, places]) => [immutables[id], places])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const files = Object.keys(JSON.parse(contract.metadata).sources);
  const artifact = {
    name,
    package: "flasharb",
    version: JSON.parse(readFileSync(join(here, "package.json"), "utf8")).version,
    license: license ?? "MIT",
    compiler: { name: "solc", version: solc.version(), settings },
    sources: files.sort(),
    source_sha256: sourceHash(files),
    abi: contract.abi,
    immutable_references: Object.fromEntries(references),
    bytecode: "0x" + contract.evm.bytecode.object,
    deployed_bytecode: "0x" + contract.evm.deployedBytecode.object,
  };
  const text = JSON.stringify(artifact, null, 1) + "\n";
  const target = join(root, path);
  if (check) {
    let committed = null;
    try {
      committed = readFileSync(target, "utf8").replaceAll("\r\n", "\n");
    } catch {}
    const same = committed === text;
    if (!same) different += 1;
    console.log(`${same ? "same     " : "DIFFERENT"} ${path}`);
  } else {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    console.log(`${path} (${(artifact.deployed_bytecode.length - 2) / 2} bytes deployed)`);
  }
}
if (different > 0) {
  console.error(`${different} artifact(s) differ from the sources; run: node build.mjs`);
  process.exit(1);
}
