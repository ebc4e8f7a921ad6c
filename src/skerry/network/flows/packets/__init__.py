"""Packets: captures on disk, and their headers as columns."""
