"""Groups of clients that are like each other, for selections that treat groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACHES = np.arange(0.01, 2.0, 0.1)
"""Distances that are tried, in standard deviations of the features."""


def group(features: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which group each client is in, by the best of several distances.

    Groups are those of DBSCAN with two points as the least of a group: whoever is within reach of a member is one. So
    they are what a minimum spanning tree falls into when its edges beyond the reach are cut, and one tree serves all
    reaches. A client that is near nobody is a group of its own. The best reach is that of the highest
    Calinski-Harabasz score; where no reach gives more than one group and fewer groups than clients, all are one
    group.

    Args:
        features: Shape (clients, features), finite; scaled to equal deviations here.

    Returns:
        Shape (clients,), numbered from 0 in the order of their first members.

    Source: Ester, Kriegel, Sander, Xu: A Density-Based Algorithm for Discovering Clusters, KDD 1996; Caliński,
    Harabasz: A dendrite method for cluster analysis, Communications in Statistics 3, 1974. Reaches as FedLesScan
    tries them.
    """
    deviations = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(deviations > 1e-12, deviations, 1.0)
    best, best_score = np.zeros(len(scaled), np.int64), 0.0
    tree = spanning_tree(scaled)
    for reach in REACHES:
        labels = cut(tree, len(scaled), float(reach))
        if 1 < labels.max() + 1 < len(scaled):
            score = calinski_harabasz(scaled, labels)
            if score > best_score:
                best, best_score = labels, score
    return best


def spanning_tree(points: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Return a minimum spanning tree of points as edges (one, other, distance).

    Source: Prim: Shortest connection networks and some generalizations, Bell System Technical Journal 36, 1957.
    """
    edges = []
    nearest = np.zeros(len(points), np.int64)
    distances = np.sqrt(((points - points[0]) ** 2).sum(axis=1))
    outside = np.ones(len(points), bool)
    outside[0] = False
    for _ in range(len(points) - 1):
        new = int(np.where(outside, distances, np.inf).argmin())
        edges.append((int(nearest[new]), new, float(distances[new])))
        outside[new] = False
        further = np.sqrt(((points - points[new]) ** 2).sum(axis=1))
        closer = further < distances
        nearest[closer], distances[closer] = new, further[closer]
    return edges


def cut(tree: list[tuple[int, int, float]], count: int, reach: float) -> NDArray[np.int64]:
    """Return the group of each point when the edges of a tree that are longer than ``reach`` are cut."""
    parents = list(range(count))

    def root(point: int) -> int:
        while parents[point] != point:
            parents[point] = parents[parents[point]]
            point = parents[point]
        return point

    for one, other, distance in tree:
        if distance <= reach:
            parents[root(other)] = root(one)
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(point), len(numbers)) for point in range(count)], np.int64)


def calinski_harabasz(points: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return how well groups are apart: spread between them over spread within them; 1 where there is none within."""
    groups, middle = int(labels.max()) + 1, points.mean(axis=0)
    between = within = 0.0
    for label in range(groups):
        members = points[labels == label]
        centre = members.mean(axis=0)
        between += len(members) * float(((centre - middle) ** 2).sum())
        within += float(((members - centre) ** 2).sum())
    return 1.0 if within == 0 else between * (len(points) - groups) / (within * (groups - 1))
