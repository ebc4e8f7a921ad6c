"""Differential privacy: what a model gives away about one client is bounded, and the bound is said with every round."""
