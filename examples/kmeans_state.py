"""Cluster points that lie in a state: workers share centroids and sums, meet at a barrier, and agree with scikit-learn.

Run: python examples/kmeans_state.py
"""

import numpy as np

import skerry

app = skerry.App("kmeans", imports=("numpy",))
state = app.state("points")
WORKERS, CLUSTERS, ROUNDS = 3, 4, 100


def sums_of(points: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the points that are nearest to each centroid."""
    nearest = np.argmin(((points[:, None, :] - centroids) ** 2).sum(axis=2), axis=1)
    sums = np.zeros_like(centroids)
    np.add.at(sums, nearest, points)
    return sums, np.bincount(nearest, minlength=len(centroids))


@app.function(idempotent=True, scale=skerry.Scale(min=WORKERS, max=WORKERS))
def work(part: int) -> int:
    """Do every round for one part of the points, in step with the others; return the number of rounds.

    A worker that is killed begins anew and finds what the others have written: barriers that are passed stay open.
    """
    points = state.get(f"points/{part}")
    centroids = state.get("centroids/0")
    for number in range(1, ROUNDS + 1):
        sums, counts = sums_of(points, centroids)
        state.put(f"sums/{number}/{part}", {"sums": sums, "counts": counts})
        state.barrier(f"round-{number}", WORKERS).wait(part, wait_s=60)
        with state.batch() as batch:  # what all parts have found, in one round trip
            found = [batch.get(f"sums/{number}/{each}", dict) for each in range(WORKERS)]
        parts = [reply.value or {} for reply in found]
        total = sum(each["sums"] for each in parts)
        new = total / sum(each["counts"] for each in parts)[:, None]
        if np.array_equal(new, centroids):
            break
        centroids = new
    if part == 0:
        state.put("centroids", centroids)
    return number


def main() -> None:
    """Cluster points with functions and with scikit-learn, from the same start."""
    from sklearn.cluster import KMeans  # workers need none of it

    generator = np.random.default_rng(7)
    corners = np.array([[0, 0], [6, 0], [0, 6], [6, 6]])
    points = np.concatenate([corner + generator.normal(size=(60, 2)) for corner in corners])
    generator.shuffle(points)
    start = points[:CLUSTERS]
    with app.run():
        with state.batch() as batch:
            batch.put("centroids/0", start)
            for part, share in enumerate(np.array_split(points, WORKERS)):
                batch.put(f"points/{part}", share)
        rounds = set(work.map(range(WORKERS)))
        centroids = state.get("centroids")
    expected = KMeans(CLUSTERS, init=start, n_init=1, tol=0).fit(points).cluster_centers_
    print(f"every worker did as many rounds: {len(rounds) == 1}")
    print(f"the same centroids as scikit-learn: {np.allclose(centroids, expected, rtol=0, atol=1e-9)}")


if __name__ == "__main__":
    main()
