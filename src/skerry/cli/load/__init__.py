"""``skerry load``: its options are in `command`, what a person sees in `view` and `summary`."""
