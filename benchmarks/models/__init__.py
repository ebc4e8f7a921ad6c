"""Benchmarks of the repository of models."""
