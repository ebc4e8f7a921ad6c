"""Who gets the requests of a function while a candidate is tried."""
