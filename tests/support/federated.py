"""Replies of clients that exist nowhere, for tests of federated learning."""

import numpy as np

from skerry.learn.federated.strategies import ListedReplies, Received


def reply_with(delta, client="a", examples=10, **fields):
    """Return a reply with this delta."""
    return Received(client=client, delta=np.asarray(delta), examples=examples, **fields)


def replies_of(deltas, examples=None, **fields):
    """Return replies with these deltas, of the clients c000, c001, ..."""
    examples = [10] * len(deltas) if examples is None else examples
    return ListedReplies(
        reply_with(delta, f"c{index:03}", examples[index], **fields) for index, delta in enumerate(deltas)
    )
