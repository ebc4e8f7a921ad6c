"""Kubernetes as a place that runs functions: what its objects look like, and what it says of them."""
