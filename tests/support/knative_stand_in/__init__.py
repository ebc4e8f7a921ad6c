"""A stand-in for Knative Serving's controllers, autoscaler and ingress, for one namespace of a test cluster.

Named for what it is: it is not Knative. It does for a `Service` what Knative's specification demands and what Skerry
relies on: revisions, pods, status, traffic by percent and tag, scaling from zero and back, failures in Knative's words.
What it leaves out is listed in ``stand_in.py``.
"""
