"""Experiments that are declared once and repeated anywhere: arms that take turns, results in one folder, a report.

>>> from skerry.testbed.experiments import plan_trials
>>> [(slot.arm, slot.repeat) for slot in plan_trials(["edge", "cloud"], 2, seed=1)]
[('edge', 0), ('cloud', 0), ('cloud', 1), ('edge', 1)]
"""

from skerry.testbed.experiments.catalogue import EXPERIMENTS, load_experiment
from skerry.testbed.experiments.experiment import Arm, Experiment, Option, Outcome, Trial
from skerry.testbed.experiments.measures import MEASURES, PHASES, Measure
from skerry.testbed.experiments.place import OneMachine, Place, SiteAddress
from skerry.testbed.experiments.results import Results, read_results
from skerry.testbed.experiments.running import Progress, Settings, run_experiment
from skerry.testbed.experiments.schedule import plan_trials

__all__ = [
    "EXPERIMENTS",
    "MEASURES",
    "PHASES",
    "Arm",
    "Experiment",
    "Measure",
    "OneMachine",
    "Option",
    "Outcome",
    "Place",
    "Progress",
    "Results",
    "Settings",
    "SiteAddress",
    "Trial",
    "load_experiment",
    "plan_trials",
    "read_results",
    "run_experiment",
]
