"""The process that stands where the client is: it runs the arms, one trial at a time.

It reads JSON lines from its standard input and answers on its standard output; what arms print goes to its log. It ends
when its input does, so nothing is left when whoever started it is killed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from skerry.errors import ConfigError, SkerryError
from skerry.testbed.experiments.catalogue import load_experiment
from skerry.testbed.experiments.experiment import Experiment, Outcome, Trial
from skerry.testbed.experiments.measures import find_measure
from skerry.testbed.experiments.place import SiteAddress


class Client:
    """Runs trials of one experiment.

    Args:
        experiment: The experiment.
        sites: Where functions run.
        head: The first line: ``options`` and ``arms``.
        lines: Where orders come from.
        answers: Where answers go.
    """

    def __init__(
        self,
        experiment: Experiment,
        sites: Mapping[str, SiteAddress],
        head: Mapping[str, Any],
        lines: TextIO,
        answers: TextIO,
    ) -> None:
        self._experiment = experiment
        self._sites = sites
        self._head = head
        self._lines = lines
        self._answers = answers
        self._memory: dict[str, Any] = {}

    def serve(self) -> None:
        """Prepare, say so, and run one trial per line until the input ends."""
        first = self._trial({"arm": self._experiment.arms[0].name, "repeat": 0, "seed": 0})
        if self._experiment.prepare is not None:
            self._experiment.prepare(first)
        self._say({"ready": True})
        for line in self._lines:
            self._say(self._run(json.loads(line)))

    def _trial(self, order: Mapping[str, Any]) -> Trial:
        return Trial(
            arm=order["arm"],
            repeat=order["repeat"],
            seed=order["seed"],
            sites=self._sites,
            options=self._head["options"],
            arms=self._head["arms"],
            memory=self._memory,
            control=self._control,
        )

    def _run(self, order: Mapping[str, Any]) -> dict[str, Any]:
        try:
            outcome = self._experiment.arm(order["arm"]).run(self._trial(order))
            return _encode(outcome)
        except SkerryError as error:
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error.message}"}
        except Exception as error:  # the next trial may do better; the log has the traceback
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"}

    def _control(self, what: str, how: Mapping[str, Any]) -> Any:
        self._say({"do": what, "how": dict(how)})
        answer = json.loads(self._lines.readline() or '{"error": "nobody answers"}')
        if "error" in answer:
            raise ConfigError(answer["error"])
        return answer.get("done")

    def _say(self, answer: Mapping[str, Any]) -> None:
        self._answers.write(json.dumps(answer, allow_nan=False) + "\n")
        self._answers.flush()


def _encode(outcome: Outcome) -> dict[str, Any]:
    for name in outcome.values:
        find_measure(name)
    values = {name: float(value) for name, value in outcome.values.items()}
    return {"values": values, "notes": dict(outcome.notes), "story": list(outcome.story)}


def main() -> int:
    """Run the process; its first line says which experiment, which sites and which options."""
    # What arms print must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    head = json.loads(sys.stdin.readline())
    try:
        experiment, _target = load_experiment(head["target"])
        sites = {name: SiteAddress(**values) for name, values in head["sites"].items()}
        Client(experiment, sites, head, sys.stdin, answers).serve()
    except SkerryError as error:
        traceback.print_exc()
        answers.write(json.dumps({"error": error.message}) + "\n")
        answers.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
