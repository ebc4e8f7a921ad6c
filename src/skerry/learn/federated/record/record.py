"""The folder of a run: its plan, and everything that its coordinator knows."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from numpy.typing import NDArray
from pydantic import ValidationError

from skerry.errors import ConfigError, NameTakenError
from skerry.learn.federated.plan import Plan, first_fault
from skerry.learn.federated.record.ceremony_log import CeremonyLog
from skerry.learn.federated.record.events import Event, Kind
from skerry.learn.federated.record.reply_log import ReplyLog
from skerry.learn.federated.record.results import RoundResult
from skerry.learn.federated.record.settling import Settling
from skerry.learn.federated.wire.frames import Pieces, frame_pieces, read_frame, write_all
from skerry.learn.federated.wire.parameters import Layout, Vector
from skerry.learn.federated.wire.tokens import make_secret

PLAN = "plan.json"
EVENTS = "events.jsonl"
LOCK = "lock"
REQUEST = "request"
KEY_FILE = "secret"
KEPT_MODELS = 2
LOCK_ATTEMPTS = 10
LOCK_PAUSE_S = 0.02

Request = Literal["pause", "cancel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the next round needs of those before.

    Args:
        round: The last one that has ended; 0 before the first.
        layout: Which arrays the model has.
        model: The global model.
        view: The model as clients hold it: the same, unless it is written for them with loss.
        state: The strategy's.
        histories: Of the clients, as `skerry.learn.federated.policies.history.to_json` writes them.
        best: The best value of the metric so far, if there is one.
        given: The model that the clients of the round were given, where their updates may count in later rounds.
    """

    round: int
    layout: Layout
    model: Vector
    view: Vector
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    histories: str = "[]"
    best: float | None = None
    given: Vector | None = None


class Record:
    """The record of a run, held by its one coordinator.

    Args:
        folder: Made when missing.
        plan: What the run does; none reads it from the folder.

    Raises:
        ConfigError: the folder holds another run, or none where one is needed.
        NameTakenError: another coordinator has it.
    """

    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self.folder = folder
        if plan is None and not (folder / PLAN).exists():
            raise ConfigError(f"{folder} holds no federated run: there is no {PLAN}")
        for part in (folder, folder / "rounds", folder / "models"):
            part.mkdir(parents=True, exist_ok=True)
        # Plain paths, for these are joined many times a round, and a round may take milliseconds.
        self._rounds, self._models = os.fspath(folder / "rounds"), os.fspath(folder / "models")
        self._request_file = os.fspath(folder / REQUEST)
        self._lock = lock_folder(folder)
        try:
            self.plan = self._take_plan(plan)
            self.secret = make_secret(folder / KEY_FILE)
            self._events = _open_events(folder / EVENTS)
            self._settling = Settling()
        except BaseException:
            os.close(self._lock)
            raise

    def _take_plan(self, plan: Plan | None) -> Plan:
        path = self.folder / PLAN
        if not path.exists():
            assert plan is not None  # noqa: S101  # looked at before the folder was made
            _replace(path, plan.model_dump_json(indent=2).encode(), sync=True)
            return plan
        found = read_plan(self.folder)
        if plan is not None and plan != found:
            raise ConfigError(
                f"{self.folder} holds another run, {found.job!r}; choose another folder, or go on with that one: "
                f"skerry federate resume {self.folder}"
            )
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settling.close()
        self._events.close()
        os.close(self._lock)

    def tell(self, kind: Kind, round: int = 0, client: str | None = None, **facts: Any) -> Event:
        """Write down for the views that something happened, and return it."""
        event = Event(kind=kind, at_s=time.time(), round=round, client=client, facts=facts)
        self._events.write(event.to_json() + b"\n")
        return event

    def request(self) -> Request | None:
        """Return what a person has asked for, if anything."""
        return _read_request(self._request_file)

    def log(self, round: int) -> ReplyLog:
        """Return the log of a round's replies."""
        return ReplyLog(self._round_file(round, "replies"))

    def ceremony_log(self, round: int) -> CeremonyLog:
        """Return the log of a round's secure aggregation."""
        return CeremonyLog(Path(self._round_file(round, "secure")))

    def log_before(self, round: int) -> ReplyLog | None:
        """Return the log of the round before one; none before the second."""
        return self.log(round - 1) if round > 1 else None

    def chosen(self, round: int) -> tuple[str, ...] | None:
        """Return who was chosen for a round that had begun; none if it had not."""
        try:
            with open(self._round_file(round, "chosen"), "rb", buffering=0) as file:
                return tuple(json.loads(file.read()))
        except (FileNotFoundError, ValueError):  # a crash has left none, a part, or zeros, and nobody was asked
            return None

    def choose(self, round: int, chosen: tuple[str, ...]) -> None:
        """Keep who was chosen, before anybody is asked: the choice stays the same if the round has to go on later."""
        _write(self._round_file(round, "chosen"), [json.dumps(chosen).encode()])

    def latest(self) -> Checkpoint | None:
        """Return the checkpoint of the last round that has ended; none before the first one."""
        for path in sorted((self.folder / "models").glob("[0-9]*.model"), reverse=True):
            found = read_checkpoint(path)
            if found is not None:
                return found
        return None

    def tidy(self, round: int) -> None:
        """Remove what a coordinator that has died would have removed after a round: what only earlier ones needed."""
        for path in (self.folder / "rounds").iterdir():
            if path.suffix in (".replies", ".chosen", ".secure") and int(path.stem) < round:
                path.unlink(missing_ok=True)
        for path in (self.folder / "models").glob("[0-9]*.model"):
            if int(path.stem) <= round - KEPT_MODELS:
                path.unlink(missing_ok=True)

    def commit(self, checkpoint: Checkpoint, result: RoundResult | None, *, best: bool = False) -> None:
        """End a round: from here on a run goes on after it.

        Args:
            checkpoint: After the round.
            result: Of the round; none for the model that the run begins with.
            best: Whether no earlier model was as good.
        """
        number = checkpoint.round
        if result is not None:
            # Nobody looks at it before its checkpoint is there.
            _write(self._round_file(number, "json"), [result.to_json()])
        path = self._model_file(number)
        value = {
            "round": number,
            "layout": checkpoint.layout.model_dump(),
            "model": checkpoint.model,
            "view": None if checkpoint.view is checkpoint.model else checkpoint.view,
            "state": dict(checkpoint.state),
            "histories": checkpoint.histories,
            "best": checkpoint.best,
            "given": checkpoint.given,
        }
        most_bytes = max([checkpoint.model.nbytes, *(array.nbytes for array in checkpoint.state.values())])
        _replace(path, frame_pieces(value, most_bytes=most_bytes), sync=result is None)
        if best:
            draft = self.folder / "models" / "best.draft"
            draft.unlink(missing_ok=True)
            os.link(path, draft)
            draft.replace(draft.with_name("best.model"))
        needless = [self._model_file(number - KEPT_MODELS)]
        # The replies of the round before: this round's would be needed again if the disk lost this very checkpoint.
        suffixes = ("replies", "chosen") if self.plan.secure is None else ("replies", "chosen", "secure")
        needless += [self._round_file(number - 1, suffix) for suffix in suffixes]
        self._settling.settle(path, needless)

    def _round_file(self, round: int, suffix: str) -> str:
        return f"{self._rounds}/{round:05}.{suffix}"

    def _model_file(self, round: int) -> str:
        return f"{self._models}/{round:05}.model"


def read_plan(folder: Path) -> Plan:
    """Return the plan of a run.

    Raises:
        ConfigError: there is none.
    """
    try:
        return Plan.model_validate_json((folder / PLAN).read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} holds no federated run: there is no {PLAN}") from error
    except ValidationError as error:
        raise ConfigError(f"{folder / PLAN} is no plan of a federated run: {first_fault(error)}") from error


def extend_plan(folder: Path, rounds: int) -> Plan:
    """Have a run end after more rounds than it was planned for, and return its plan.

    Args:
        folder: Of the run.
        rounds: In all.

    Raises:
        ConfigError: there is no run, it was cancelled, or it is planned for more rounds.
        NameTakenError: a coordinator has it.
    """
    found = read_plan(folder)
    if read_request(folder) == "cancel":
        raise ConfigError(f"the run in {folder} was cancelled; begin another one in another folder")
    if rounds < found.rounds:
        raise ConfigError(
            f"the run in {folder} is planned for {found.rounds} rounds, and {rounds} are fewer; say how many there "
            "are to be in all"
        )
    plan = found.model_copy(update={"rounds": rounds})
    lock = lock_folder(folder)
    try:
        _replace(folder / PLAN, plan.model_dump_json(indent=2).encode(), sync=True)
    finally:
        os.close(lock)
    return plan


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return a checkpoint; none where the file is no whole one."""
    try:
        found = read_frame(path.read_bytes())
    except FileNotFoundError:
        return None
    if found is None:
        return None
    value, _ = found
    value["view"] = value["model"] if value["view"] is None else value["view"]
    return Checkpoint(**{**value, "layout": Layout.model_validate(value["layout"])})


def read_request(folder: Path) -> Request | None:
    """Return what a person has asked of a run: to pause or to be cancelled."""
    return _read_request(os.fspath(folder / REQUEST))


def _read_request(path: str) -> Request | None:
    if not os.access(path, os.F_OK):  # rounds ask often, and hardly ever is it there
        return None
    try:
        with open(path, encoding="ascii") as file:
            return "cancel" if file.read() == "cancel" else "pause"
    except FileNotFoundError:
        return None


def write_request(folder: Path, request: Request | None) -> None:
    """Ask a run for something, or take back what it was asked for."""
    if request is None:
        (folder / REQUEST).unlink(missing_ok=True)
    else:
        _replace(folder / REQUEST, request.encode(), sync=False)


def lock_folder(folder: Path) -> int:
    """Take a run's folder, and return the descriptor that holds it until it is closed or the process ends.

    Raises:
        NameTakenError: another process has it.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for left in reversed(range(LOCK_ATTEMPTS)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if left:
                time.sleep(LOCK_PAUSE_S)  # it may be somebody who only looks, and is gone at once
                continue
            os.close(descriptor)
            raise NameTakenError(f"{folder}: a coordinator runs there already") from error
        break
    return descriptor


def _open_events(path: Path) -> FileIO:
    """Open the events for adding to them, without the half line that a crash may have left."""
    file = FileIO(path, "a+")
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        file.truncate(whole)
    return file


def _replace(path: Path | str, content: bytes | Pieces, *, sync: bool) -> None:
    draft = f"{path}.draft"
    _write(draft, [content] if isinstance(content, bytes) else content, sync=sync)
    os.replace(draft, path)


def _write(path: str, pieces: Pieces, *, sync: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, pieces)
        if sync:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
