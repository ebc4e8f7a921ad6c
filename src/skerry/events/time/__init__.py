"""Events by the time at which they happened: windows, and joins of two streams, kept in a state of the app."""
