"""Waiting for objects, and why they are not ready yet."""
