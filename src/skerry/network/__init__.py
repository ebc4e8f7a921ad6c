"""Functions for networks: what sees flows, what measures them, what decides, and what acts."""
