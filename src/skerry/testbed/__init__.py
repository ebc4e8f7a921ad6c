"""Networks, load and experiments on one machine."""
