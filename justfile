# The recipes of the project; `./just` lists them. Every recipe runs in .venv, which `./just` makes from the lock.

export ETH_HASH_BACKEND := "pysha3"
bin := justfile_directory() / ".venv/bin"

# list the recipes
default:
    @just --justfile {{ justfile() }} --list --unsorted

# make .venv from the lock (then .venv/bin/flasharb works)
setup:
    @./just --version > /dev/null

# the service; without arguments on the embedded devnet
run *ARGS: setup
    @{{ bin }}/flasharb run {{ ARGS }}

# re-execute one transaction: a hash, a raw transaction or a JSON file
simulate TX *ARGS: setup
    @{{ bin }}/flasharb simulate {{ TX }} {{ ARGS }}

# the tests; arguments go to pytest
test *ARGS: setup
    {{ bin }}/python -m pytest {{ ARGS }}

# lint, formatting, types and import contracts
check: setup
    {{ bin }}/ruff check .
    {{ bin }}/ruff format --check .
    {{ bin }}/mypy
    {{ bin }}/lint-imports

# the tests with branch coverage of the package
coverage *ARGS: setup
    {{ bin }}/coverage erase
    {{ bin }}/coverage run -m pytest {{ ARGS }}
    {{ bin }}/coverage combine --quiet
    {{ bin }}/coverage report

# install the pinned Node.js tools (solc, anvil, pool artifacts); needs Node.js
node-tools:
    @# `npm ci` would refuse a lock made where not every platform's anvil can be had; this takes the lock as it is.
    cd solidity && npm install --no-save --ignore-scripts --no-fund --no-audit

# rebuild the contracts with the pinned solc and show what changed; needs Node.js
contract: setup node-tools
    node solidity/build.mjs
    git diff --stat -- flasharb/execution/artifacts fixtures tests/contract

# regenerate fixtures/ from the npm artifacts; needs Node.js
fixtures: contract (unpacked "@sushiswap/core" "2.0.0-canary.1") (unpacked "@pancakeswap-libs/pancake-swap-core" "0.1.0")
    {{ bin }}/python -m tests.support.collect_bytecode solidity/node_modules
    {{ bin }}/python -m flasharb.devnet.build_world
    {{ bin }}/python -m flasharb.devnet.example

# a package whose own dependencies cannot be had: only its files are wanted
[private]
unpacked NAME VERSION:
    mkdir -p solidity/node_modules/{{ NAME }}
    cd solidity/node_modules && tar xzf "$(npm pack --silent {{ NAME }}@{{ VERSION }} | tail -1)" -C {{ NAME }} --strip-components=1

# figures: all benchmarks or one of them by name (--json for the contract of the command line)
bench *ARGS: setup
    @{{ bin }}/python -m benchmarks {{ ARGS }}

# the official state tests; a path is a category file or a folder (default: ../shared/ethereum_tests)
evm-tests *PATHS: setup
    @{{ bin }}/python -m tests.evm_tests {{ PATHS }}

# the long runs that are recorded, not part of `test`
long-runs: setup
    {{ bin }}/python -m tests.fuzz.bus --frames 1000000
    {{ bin }}/python -m tests.long.pools
    {{ bin }}/python -m tests.long.balancer
    {{ bin }}/python -m tests.long.evm

# ask the execution specs (EELS) for the vectors of Osaka again, in an environment of their own
eels-vectors:
    #!/usr/bin/env bash
    set -euo pipefail
    place=$(mktemp -d)
    trap 'rm -r "$place"' EXIT
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet ethereum-execution==2.20.0
    "$place/bin/python" tests/support/eels_vectors.py > tests/vectors/osaka.json

# the contract with one safeguard less each time: a test must notice; needs Node.js
mutants: setup node-tools
    {{ bin }}/python -m tests.long.contract_mutants

# rewrite the lock from pyproject.toml (needs uv)
lock:
    uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url --quiet \
        --output-file requirements.lock --prerelease=if-necessary-or-explicit --generate-hashes \
        --custom-compile-command "just lock"
