"""Calls that run on their own: kept, run, and asked about later."""
