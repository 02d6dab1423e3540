"""revm's opinion on every transaction of a recorded block."""

from __future__ import annotations

from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.measure import pairs_of
from flasharb.simulation.opinion import Case, Unconfirmed
from flasharb.simulation.recorded import RecordedBlock, RecordedState
from flasharb.simulation.result import Simulation
from flasharb.simulation.revm import revm_objection
from flasharb.simulation.simulate import Run


def opinions_on(block: RecordedBlock, count: int | None = None) -> dict[int, Unconfirmed | None]:
    """What revm objects to each of the first ``count`` transactions, by index; each after the ones before it."""
    transactions: list[bytes] = []
    run = Run(transactions, ForkState(RecordedState(block)), block.context, block.fork)
    found = {}
    for index, raw in enumerate(block.transactions[:count]):
        transactions.append(raw)
        answer = run.step()
        assert isinstance(answer, Simulation), answer
        ours = answer.transactions[index]
        measured = [pair for pair in pairs_of(ours.logs) if pair[1] in ours.balance_changes.get(pair[0], {})]
        found[index] = revm_objection(ours, Case(raw, block.context, block.fork, run.state_before(), measured))
    return found
