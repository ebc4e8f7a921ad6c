"""The front and the workers: every invocation on every platform passes through here."""
