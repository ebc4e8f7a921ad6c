"""The version of Skerry."""

__version__ = "0.1.0"
