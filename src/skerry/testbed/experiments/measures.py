"""The names of what experiments measure, with their units: the same name means the same in every experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skerry.errors import ConfigError
from skerry.pages.words import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measured quantity.

    Args:
        name: Ends in its unit where it has one.
        title: For people.
        unit: ``s``, ``ratio`` (0 to 1), ``bytes``, ``count``, or ``nats`` (of a cross-entropy).
        is_phase: Whether it is a part of `response_time_s`.
    """

    name: str
    title: str
    unit: Unit
    is_phase: bool = False


_MEASURES = (
    Measure(name="response_time_s", title="response time", unit="s"),
    Measure(name="total_time_s", title="response time and final fit", unit="s"),
    Measure(name="encode_s", title="encode", unit="s", is_phase=True),
    Measure(name="upload_s", title="upload", unit="s", is_phase=True),
    Measure(name="queue_s", title="queue", unit="s", is_phase=True),
    Measure(name="cold_start_s", title="cold start", unit="s", is_phase=True),
    Measure(name="compute_s", title="compute", unit="s", is_phase=True),
    Measure(name="download_s", title="download", unit="s", is_phase=True),
    Measure(name="other_s", title="other", unit="s", is_phase=True),
    Measure(name="final_fit_s", title="final fit", unit="s"),
    Measure(name="test_accuracy", title="accuracy on the test set", unit="ratio"),
    Measure(name="validation_accuracy", title="accuracy in cross-validation", unit="ratio"),
    Measure(name="bytes_sent", title="bytes sent", unit="bytes"),
    Measure(name="bytes_received", title="bytes received", unit="bytes"),
    Measure(name="wire_bytes", title="bytes on the links, headers and repetitions included", unit="bytes"),
    Measure(name="calls", title="calls", unit="count"),
    Measure(name="repeated_calls", title="calls that were sent again", unit="count"),
    Measure(name="wrong_answers", title="wrong answers", unit="count"),
    Measure(name="global_accuracy", title="accuracy of the global model after the last round", unit="ratio"),
    Measure(name="best_accuracy", title="accuracy of the best global model", unit="ratio"),
    Measure(name="global_loss", title="loss of the global model after the last round", unit="nats"),
    Measure(name="rounds", title="rounds", unit="count"),
    Measure(name="rounds_to_82", title="rounds until the global model knows 82 %", unit="count"),
    Measure(name="rounds_to_99", title="rounds until the global model knows 99 %", unit="count"),
    Measure(name="client_accuracy_min", title="accuracy of the weakest client's own model", unit="ratio"),
    Measure(name="client_accuracy", title="accuracy of the clients' own models, mean", unit="ratio"),
    Measure(name="client_accuracy_max", title="accuracy of the best client's own model", unit="ratio"),
    Measure(name="round_s", title="time of a round", unit="s"),
    Measure(name="sending_s", title="longest sending of a model in a round", unit="s"),
    Measure(name="training_s", title="longest training in a round", unit="s"),
    Measure(name="waiting_s", title="wait for the replies of a round beyond the longest training", unit="s"),
    Measure(name="aggregation_s", title="aggregation of a round", unit="s"),
    Measure(name="evaluation_s", title="evaluation after a round", unit="s"),
    Measure(name="training_response_cold_s", title="response of 10 epochs of training, from zero", unit="s"),
    Measure(name="training_response_warm_s", title="response of 10 epochs of training, warm", unit="s"),
    Measure(name="training_response_bare_s", title="10 epochs of training without Skerry", unit="s"),
    Measure(name="cold_overhead_s", title="response from zero beyond the training inside it", unit="s"),
    Measure(name="warm_overhead_s", title="warm response beyond the training inside it", unit="s"),
    Measure(name="cold_difference_s", title="response from zero minus training without Skerry, in pairs", unit="s"),
    Measure(name="warm_difference_s", title="warm response minus training without Skerry, in pairs", unit="s"),
    Measure(name="bytes_sent_per_round", title="bytes of models sent to clients in a round", unit="bytes"),
    Measure(name="bytes_received_per_round", title="bytes of updates received in a round", unit="bytes"),
    Measure(name="peak_memory_bytes", title="most memory of a training worker", unit="bytes"),
    Measure(name="serving_memory_bytes", title="most memory of the serving worker", unit="bytes"),
    Measure(name="model_bytes", title="bytes of the exported model", unit="bytes"),
    Measure(name="parameters", title="parameters of the model", unit="count"),
    Measure(name="time_to_detect_s", title="time to detect", unit="s"),
    Measure(name="time_to_mitigate_s", title="time to mitigate", unit="s"),
    Measure(name="time_to_withdraw_s", title="time to withdraw", unit="s"),
    Measure(name="first_withdrawal_s", title="first withdrawal, after the end of the attack", unit="s"),
    Measure(name="goodput_ratio", title="goodput during the attack, of before", unit="ratio"),
    Measure(name="connections_ratio", title="new connections kept", unit="ratio"),
    Measure(name="attack_passed_ratio", title="share of the attack that passed", unit="ratio"),
    Measure(name="legitimate_dropped", title="legitimate packets dropped", unit="count"),
    Measure(name="blocked_clients", title="blocked clients", unit="count"),
    Measure(name="false_alarms", title="false alarms", unit="count"),
    Measure(name="benign_windows", title="benign windows", unit="count"),
    Measure(name="loop_cpu_s", title="processor time of the defence in a trial", unit="s"),
    Measure(name="loop_memory_bytes", title="most memory of the defence", unit="bytes"),
    Measure(name="wall_s", title="wall time of the trial", unit="s"),
    Measure(name="cpu_s", title="processor time of client and sites", unit="s"),
    Measure(name="load_average", title="load average before the trial", unit="count"),
)
MEASURES: Mapping[str, Measure] = MappingProxyType({measure.name: measure for measure in _MEASURES})
"""Every measure by its name."""

PHASES: tuple[str, ...] = tuple(measure.name for measure in _MEASURES if measure.is_phase)
"""The parts of `response_time_s`, in the order in which they happen."""

OF_EVERY_TRIAL = ("wall_s", "cpu_s", "load_average")
"""What the framework measures itself, whatever the experiment."""


def find_measure(name: str) -> Measure:
    """Return a measure by its name.

    Raises:
        ConfigError: there is no such measure.
    """
    if name not in MEASURES:
        raise ConfigError(f"measure {name!r}: there is none of this name; the names are {', '.join(MEASURES)}")
    return MEASURES[name]
