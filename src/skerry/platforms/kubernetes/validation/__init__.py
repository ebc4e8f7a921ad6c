"""Whether objects are what Kubernetes and Knative take, without a cluster."""

from skerry.platforms.kubernetes.validation.validation import check, problems

__all__ = ["check", "problems"]
