"""Many cases of some kinds, one after the other, with a line a kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import process_time
from typing import NoReturn


def run_kinds(
    run: Callable[[str, int], str | None], kinds: Sequence[str], arguments: Sequence[str], cases: int
) -> NoReturn:
    """Run the cases 0 to ``cases`` of each kind; ``arguments`` may name another number, and kinds.

    Raises:
        SystemExit: 1 where anything differs, else 0.
    """
    count = int(arguments[0]) if arguments else cases
    failed = False
    for kind in arguments[1:] or kinds:
        start = process_time()
        problems = [problem for number in range(count) if (problem := run(kind, number))]
        failed = failed or bool(problems)
        print(f"{kind:16} {count} cases, {len(problems)} differ, {process_time() - start:.0f} s", flush=True)
        for problem in problems[:10]:
            print(f"    {problem}", flush=True)
    raise SystemExit(int(failed))
