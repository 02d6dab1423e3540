"""The StableSwap invariant in the contracts' own integer steps.

For balances ``x`` in 18 decimals, ``n`` coins and amplification ``A`` (the contracts' ``A`` is already the paper's
``A n^(n-1)``; ``ann`` is ``A n``, times ``a_precision`` where the contract keeps hundredths)::

    ann * sum(x) + D  =  ann * D + D^(n+1) / (n^n prod(x))

``D`` and the unknown balance come from Newton's iteration, which stops when a step is at most one unit. The result
depends on start and rounding, so the steps are the contract's; where its uint256 would overflow it reverts, and so do
we (InsufficientLiquidity).
"""

from __future__ import annotations

from collections.abc import Sequence

from flasharb.pools.errors import InsufficientLiquidity
from flasharb.pools.inverse import Unsettled
from flasharb.pools.stableswap.rules import StableRules

_MAX_ROUNDS = 255


def invariant(xp: Sequence[int], ann: int, rules: StableRules) -> int:
    """``D`` of the balances ``xp`` (get_D); 0 for an empty pool."""
    total = sum(xp)
    if not total:
        return 0
    if not all(xp):
        raise InsufficientLiquidity("one of the pool's balances is zero")
    n, precision = len(xp), rules.a_precision
    divisors, last = (xp, n**n) if rules.divides_last else ([x * n for x in xp], 1)
    scaled_total = ann * total // precision
    d = total
    for _ in range(_MAX_ROUNDS):
        product = d
        for divisor in divisors:
            product *= d
            if product >> 256:
                raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
            product //= divisor
        product //= last
        numerator = (scaled_total + product * n) * d
        if numerator >> 256:
            raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
        previous = d
        d = numerator // ((ann - precision) * d // precision + (n + 1) * product)
        if -1 <= d - previous <= 1:
            return d
    return _unsettled(d, rules)


def balance_at(xp: Sequence[int], k: int, d: int, ann: int, rules: StableRules) -> int:
    """The balance of coin ``k`` at which the invariant is ``d``, given the others in ``xp`` (get_y, get_y_D)."""
    c, slope = _quadratic(xp, k, d, ann, rules)
    y = largest = d
    for _ in range(_MAX_ROUNDS):
        previous = y
        divisor = 2 * y + slope
        if divisor <= 0:
            raise InsufficientLiquidity("the contract's iteration leaves the curve")
        y = (y * y + c) // divisor
        if -1 <= y - previous <= 1:
            break
        largest = max(largest, y)
    else:
        y = _unsettled(y, rules)
    if (largest * largest + c) >> 256:
        raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
    return y


def _quadratic(xp: Sequence[int], k: int, d: int, ann: int, rules: StableRules) -> tuple[int, int]:
    """``c`` and ``b - D`` of ``y^2 + (b - D) y = c``, whose root is the balance of coin ``k``."""
    n, precision = len(xp), rules.a_precision
    c, total = d, 0
    for at, x in enumerate(xp):
        if at == k:
            continue
        if not x:
            raise InsufficientLiquidity("one of the pool's balances is zero")
        total += x
        c *= d
        if c >> 256:
            raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
        c //= x * n
    c *= d * precision
    if c >> 256:
        raise InsufficientLiquidity("the balances overflow the contract's arithmetic")
    return c // (ann * n), total + d * precision // ann - d


def check_prices(xp: Sequence[int], d: int, ann: int, rules: StableRules) -> None:
    """Refuse balances at which a contract cannot compute its prices (_get_p), as can only happen far out of balance."""
    if not rules.keeps_prices or min(xp) << 40 > d:
        return
    n = len(xp)
    root = d // n**n
    for x in xp:
        root *= d
        if not x or root >> 256:
            raise InsufficientLiquidity("the contract cannot compute its prices so far out of balance")
        root //= x
    root_price, scaled = root * xp[0], ann * xp[0] // rules.a_precision
    others = max(root_price // x for x in xp[1:])
    if root_price >> 256 or (scaled + others) * 10**18 >> 256:
        raise InsufficientLiquidity("the contract cannot compute its prices so far out of balance")
    if rules.packs_prices and 10**18 * (scaled + others) // (scaled + root) >> 128:
        raise InsufficientLiquidity("the contract cannot keep its price so far out of balance")


def _unsettled(value: int, rules: StableRules) -> int:
    """What the contract does after its last round: the early ones take what they have, later ones revert."""
    if rules.must_settle:
        raise Unsettled("the contract's iteration does not settle")
    return value
