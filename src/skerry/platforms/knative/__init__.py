"""Knative Serving as a place that runs functions."""
