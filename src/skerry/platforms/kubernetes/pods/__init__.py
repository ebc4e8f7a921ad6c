"""Pods: which there are, what they write, and their ports as local addresses."""
