"""From an app to Knative Services: pure, like the rendering for plain Kubernetes, whose parts it uses."""

from skerry.platforms.knative.rendering.features import needed_features
from skerry.platforms.knative.rendering.rendering import render

__all__ = ["needed_features", "render"]
