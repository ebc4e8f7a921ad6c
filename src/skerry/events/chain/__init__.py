"""Chains: runs of several functions that are recorded step by step, and go on after any death where they were.

It calls no function itself: who hosts it, such as the engine, says how a step is given to one.
"""
