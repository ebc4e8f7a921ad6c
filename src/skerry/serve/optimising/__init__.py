"""Smaller and faster versions of a model, measured before and after on the same data."""

from skerry.serve.optimising.data import EvaluationData
from skerry.serve.optimising.methods import METHODS
from skerry.serve.optimising.optimisation import OptimisedModel, optimise, publish_optimised
from skerry.serve.optimising.profile import Profile

__all__ = ["METHODS", "EvaluationData", "OptimisedModel", "Profile", "optimise", "publish_optimised"]
