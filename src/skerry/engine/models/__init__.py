"""The models of functions: fetched, followed, changed while requests go on."""
