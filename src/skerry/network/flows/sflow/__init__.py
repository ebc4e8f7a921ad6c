"""sFlow v5: samples of packets, and counters of interfaces."""
