"""Several callers' rows in one run of a model, and each caller's own rows out of it again.

Only models whose every input and output has a free first dimension are run so: those answer row by row. Rows are also
taken apart: no run gets more than `MOST_ROWS`, so that the memory of a run does not grow with what one caller sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    Tensors = Mapping[str, Array]
    Runner = Callable[[Tensors], dict[str, Array]]

MOST_ROWS = 64  # a processor is busy with fewer, and what lies between the layers of a network is that much smaller


class Piece(NamedTuple):
    """Rows of one request.

    Args:
        request: Its place among the requests.
        start: The first row.
        stop: The row behind the last.
    """

    request: int
    start: int
    stop: int


class UnevenError(Exception):
    """A model returned another number of rows than it was given: it does not answer row by row."""


def plan(requests: Sequence[Tensors], *, most_rows: int = MOST_ROWS) -> list[list[Piece]]:
    """Return the runs that answer requests of a model which answers row by row.

    Requests share a run when all but the first lengths of their arrays agree. One without rows, or whose inputs differ
    in their number of rows, has a run of its own.

    Args:
        requests: Arrays by name, each with one dimension or more.
        most_rows: Most rows in a run, from 1.
    """
    alone: list[list[Piece]] = []
    open_runs: dict[Any, list[list[Piece]]] = {}
    room: dict[Any, int] = {}
    for at, tensors in enumerate(requests):
        rows = {len(array) for array in tensors.values()}
        count = max(rows, default=0)
        if len(rows) != 1 or not count:
            alone.append([Piece(at, 0, count)])
            continue
        key = tuple((name, array.shape[1:]) for name, array in sorted(tensors.items()))
        runs = open_runs.setdefault(key, [])
        start = 0
        while start < count:
            if not room.get(key):
                runs.append([])
                room[key] = most_rows
            stop = min(count, start + room[key])
            runs[-1].append(Piece(at, start, stop))
            room[key] -= stop - start
            start = stop
    return [*(run for runs in open_runs.values() for run in runs), *alone]


def run_merged(run: Runner, requests: Sequence[Tensors]) -> list[dict[str, Array] | Exception]:
    """Return the outputs of each request, or what went wrong with it, of a model that answers row by row.

    Where a run of several requests fails, each is run on its own: one that is wrong fails alone.

    Raises:
        UnevenError: the model does not answer row by row.
    """
    gathered = [_Gathered(_count(tensors)) for tensors in requests]
    failed: dict[int, Exception] = {}
    for pieces in plan(requests):
        pending = [pieces]
        while pending:
            members = [piece for piece in pending.pop() if piece.request not in failed]
            if not members:
                continue
            try:
                _run_pieces(run, requests, members, gathered)
            except UnevenError:
                raise
            except Exception as error:
                if len(members) == 1:
                    failed[members[0].request] = error
                else:
                    pending += [[piece] for piece in members]
    return [failed.get(at, whole.outputs) for at, whole in enumerate(gathered)]


def run_alone(run: Runner, requests: Sequence[Tensors]) -> list[dict[str, Array] | Exception]:
    """Return the outputs of each request, or what went wrong with it, with one run for each."""
    results: list[dict[str, Array] | Exception] = []
    for tensors in requests:
        try:
            results.append(run(tensors))
        except Exception as error:
            results.append(error)
    return results


class _Gathered:
    """The outputs of one request, put together from those of its runs.

    Rows are copied into their place after each run. Kept until the last one, the outputs of many runs would lie between
    what the runs work with, and the heap would grow with each of them.

    Args:
        count: Rows of the request.
    """

    def __init__(self, count: int) -> None:
        self.outputs: dict[str, Array] = {}
        self._count = count

    def put(self, name: str, rows: Array, start: int) -> None:
        """Take rows of one output, of which ``start`` is the first one's place.

        Raises:
            UnevenError: they have another shape than those before.
        """
        import numpy as np

        if name not in self.outputs:
            self.outputs[name] = np.empty((self._count, *rows.shape[1:]), rows.dtype)
        whole = self.outputs[name]
        if whole.shape[1:] != rows.shape[1:] or whole.dtype != rows.dtype:
            raise UnevenError
        whole[start : start + len(rows)] = rows


def _run_pieces(run: Runner, requests: Sequence[Tensors], pieces: list[Piece], gathered: Sequence[_Gathered]) -> None:
    import numpy as np

    tensors = [_rows(requests[piece.request], piece) for piece in pieces]
    if len(pieces) == 1:
        merged: Tensors = tensors[0]
    else:
        merged = {name: np.concatenate([each[name] for each in tensors]) for name in tensors[0]}
    total = sum(piece.stop - piece.start for piece in pieces)
    outputs = run(merged)
    if len(pieces) == 1 and (pieces[0].start, pieces[0].stop) == (0, _count(requests[pieces[0].request])):
        gathered[pieces[0].request].outputs = outputs  # nothing to cut, so nothing to know of its rows
        return
    if any(array.ndim == 0 or len(array) != total for array in outputs.values()):
        raise UnevenError
    at = 0
    for piece in pieces:
        end = at + piece.stop - piece.start
        for name, array in outputs.items():
            gathered[piece.request].put(name, array[at:end], piece.start)
        at = end


def _count(tensors: Tensors) -> int:
    return max((len(array) for array in tensors.values()), default=0)


def _rows(tensors: Tensors, piece: Piece) -> Tensors:
    if (piece.start, piece.stop) == (0, _count(tensors)):
        return tensors
    return {name: array[piece.start : piece.stop] for name, array in tensors.items()}
