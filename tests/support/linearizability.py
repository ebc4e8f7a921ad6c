"""Whether a history of concurrent calls could have come about one call after the other.

After J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (1993), with G. Lowe's memory of what was
tried (2017): a depth-first search for an order in which every call comes between its begin and its end, and has the
result that a sequential model gives it.
"""

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """One call of a history.

    Args:
        asked: What the model is asked for.
        result: What was answered.
        begin_ns: Clock reading before the call.
        end_ns: Clock reading after the answer.
    """

    asked: Any
    result: Any
    begin_ns: int
    end_ns: int


def find_order(history, model, *, most_steps=200_000):
    """Return the calls in an order that explains their results; None when there is none.

    Args:
        history: The calls, at most some dozens.
        model: A value that can be hashed, with ``run(asked) -> (model, result)``.
        most_steps: After so many steps the search gives up with an error: the history is too long.
    """
    calls = sorted(history, key=lambda call: call.begin_ns)
    everything = (1 << len(calls)) - 1
    tried = set()
    steps = 0

    def search(done, model, order):
        nonlocal steps
        if done == everything:
            return order
        if (done, model) in tried:
            return None
        tried.add((done, model))
        left = [index for index in range(len(calls)) if not done >> index & 1]
        first_end_ns = min(calls[index].end_ns for index in left)
        for index in left:
            steps += 1
            assert steps <= most_steps, f"no answer after {most_steps} steps: {len(calls)} calls are too many"
            call = calls[index]
            if call.begin_ns > first_end_ns:
                break  # some call had ended before this one began, and so did all that follow
            after, result = model.run(call.asked)
            if result == call.result:
                found = search(done | 1 << index, after, [*order, call])
                if found is not None:
                    return found
        return None

    assert len(calls) < sys.getrecursionlimit() // 2
    return search(0, model, [])
