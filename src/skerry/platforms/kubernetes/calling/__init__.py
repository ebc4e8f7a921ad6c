"""Calls of functions on a cluster."""
