"""How much memory a worker takes that holds the compiled code in a directory: ``python -m benchmarks.evm_memory``.

Run by ``bench_engine`` in a process of its own, which prints megabytes and how many contracts and functions they hold.
"""

from __future__ import annotations

import gc
import json
import marshal
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from flasharb.adapters.code_cache import CodeCache

# What a worker imports takes a fifth of what is measured.
from flasharb.service import worker  # noqa: F401


def main() -> None:
    """Hold ``argv[2]`` contracts of the directory ``argv[1]``, some twice if there are not so many."""
    directory, wanted = Path(sys.argv[1]), int(sys.argv[2])
    cache = CodeCache(directory)
    names = sorted(path.name for path in directory.iterdir())
    held: list[dict[int, Any]] = []
    for n in range(wanted):
        data = cache.load(names[n % len(names)])
        assert data is not None
        held.append({place: FunctionType(code, {}) for place, code in marshal.loads(data).items()})
    del data
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)
    print(json.dumps({"mb": resident, "contracts": len(held), "functions": sum(map(len, held))}))


if __name__ == "__main__":
    main()
