"""The engine as the host of the broker of events."""
