"""From an app to the objects of a cluster: pure, so that what is deployed can be read, compared and kept first."""

from skerry.platforms.kubernetes.api.objects import KubernetesObject, object_name
from skerry.platforms.kubernetes.rendering.app import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering.rendering import render
from skerry.platforms.kubernetes.rendering.versions import adapt

__all__ = ["AppToRender", "FunctionToRender", "KubernetesObject", "adapt", "object_name", "render"]
