"""The embedded default: a small real chain with the real pool contracts, traders, a bus relay and a bundle relay.

It runs as a process of its own (``python -m flasharb.devnet``), reached through sockets only, as the real ones are.

::

    __main__      arguments, ready line, life and death of the process
    server        HTTP and WebSocket (hypercorn): rpc and the bundle relay
    rpc | relay   the answers to JSON-RPC requests
    publisher     the market-data bus and the signal bus (Unix stream sockets)
    traders       who moves the prices
    slots         the clock: every slot one block
    chain         mempool, bundles, block building, history
    ledger        accounts, state tries and the state of recent blocks
    block         headers, receipts and their roots
    world         the committed starting state;  build_world makes it
"""

import os

# Before any eth package is imported: pysha3 is six times faster than the pure fallback that eth-hash finds first.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
