"""Throughput of the whole loop: flow records of an exporter to what a function writes down of an attack."""
