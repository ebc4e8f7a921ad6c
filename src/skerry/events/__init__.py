"""The durable broker: it keeps accepted events until the functions that they start have dealt with them.

It runs no function itself: who hosts it, such as the engine, says how an event is given to one.
"""
