"""Federated learning: models travel, data stays."""
