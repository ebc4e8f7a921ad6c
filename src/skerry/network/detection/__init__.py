"""Finding attacks in windows of traffic, and deciding on the narrowest rule against them."""

from skerry.network.detection.baseline import BaselineDetector, BaselineRules
from skerry.network.detection.classifier import FLOW_FEATURES, ClassifierDetector, flow_row
from skerry.network.detection.decision import Decision, DecisionRules, Ordinary, decide, excess_by_kind
from skerry.network.detection.detector import Detector, Panel, Verdict
from skerry.network.detection.ending import EndRules, Reading, has_ended
from skerry.network.detection.field import decide_by_one_field
from skerry.network.detection.hitting import Hitter, hit_ratio
from skerry.network.detection.kind import FLOODS, Kind, kind_of
from skerry.network.detection.slow import SlowDetector, SlowRules
from skerry.network.detection.strays import StrayDetector, StrayRules
from skerry.network.detection.traffic import FEATURES, Slice, Traffic, make_traffic
from skerry.network.detection.trees import TreesDetector

__all__ = [
    "FEATURES",
    "FLOODS",
    "FLOW_FEATURES",
    "BaselineDetector",
    "BaselineRules",
    "ClassifierDetector",
    "Decision",
    "DecisionRules",
    "Detector",
    "EndRules",
    "Hitter",
    "Kind",
    "Ordinary",
    "Panel",
    "Reading",
    "Slice",
    "SlowDetector",
    "SlowRules",
    "StrayDetector",
    "StrayRules",
    "Traffic",
    "TreesDetector",
    "Verdict",
    "decide",
    "decide_by_one_field",
    "excess_by_kind",
    "flow_row",
    "has_ended",
    "hit_ratio",
    "kind_of",
    "make_traffic",
]
