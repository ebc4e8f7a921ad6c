"""Sort pictures of eight by eight dots into kinds, by k-means, with several workers.

Each worker does every round for its part of the pictures. What all have found in a round is added up under a lock; they
meet at a barrier, and go on from the same sums. Pictures are whole numbers, so the sums are the same in any order, and
the workers find exactly what one of them would find alone.
"""

import time

import numpy as np

import skerry

WORKERS = 3
KINDS = 6
PICTURES = 3000
SIDE = 8
STARTS = 2  # of which the best is kept
MOST_ROUNDS = 40
SEED = 7
SHADES = " .:-=+*#%@"

app = skerry.App("porting", imports=("numpy",))
sums = app.state("sums")  # what all have found in a round
lock = sums.lock("sums")


# The pictures


def draw(kind: int) -> np.ndarray:
    """Return the picture that all of a kind are like: some lines across a square."""
    picture = np.zeros((SIDE, SIDE))
    generator = np.random.default_rng(kind)
    for _ in range(3):
        place, length, begin = generator.integers(SIDE), generator.integers(4, SIDE + 1), generator.integers(3)
        if generator.random() < 0.5:
            picture[place, begin : begin + length] = 1
        else:
            picture[begin : begin + length, place] = 1
    return picture


def shift(picture: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return a picture that is moved; what leaves it on one side comes in on the other."""
    return np.roll(picture, (down, right), axis=(0, 1))


def make_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures, a row of whole numbers from 0 to 16 each, and the kind of each."""
    generator = np.random.default_rng(SEED)
    kinds = generator.integers(KINDS, size=PICTURES)
    models = [draw(kind) for kind in range(KINDS)]
    rows = []
    for kind in kinds.tolist():
        moved = generator.random() < 0.1
        picture = shift(models[kind], int(moved), 0)
        noisy = picture * generator.uniform(0.7, 1.0) + generator.normal(0, 0.15, picture.shape)
        rows.append(np.clip(np.rint(noisy * 16), 0, 16).astype(np.int64).ravel())
    return np.array(rows), kinds


# K-means


def distances_to(pictures: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the squared distance of each picture to each centroid."""
    squares = (pictures**2).sum(axis=1)[:, None] + (centroids**2).sum(axis=1)
    distances: np.ndarray = np.maximum(squares - 2 * pictures @ centroids.T, 0)
    return distances


def choose_start(pictures: np.ndarray, start: int) -> np.ndarray:
    """Return pictures to begin with, far from each other (k-means++)."""
    generator = np.random.default_rng([SEED, start])
    chosen = [pictures[generator.integers(len(pictures))]]
    while len(chosen) < KINDS:
        nearest = distances_to(pictures, np.array(chosen)).min(axis=1)
        chosen.append(pictures[generator.choice(len(pictures), p=nearest / nearest.sum())])
    return np.array(chosen, dtype=float)


def count_up(pictures: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the sum of the pictures nearest to each centroid, and in the last column how many they are."""
    nearest = distances_to(pictures, centroids).argmin(axis=1)
    found = np.zeros((len(centroids), pictures.shape[1] + 1), dtype=np.int64)
    np.add.at(found, nearest, np.column_stack([pictures, np.ones(len(pictures), dtype=np.int64)]))
    return found


def add(before: np.ndarray | None, found: np.ndarray) -> np.ndarray:
    """Return what was found before and now together."""
    return found if before is None else before + found


def move(centroids: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the centroids in the middle of their pictures; one without any stays where it is."""
    numbers = found[:, -1:]
    return np.where(numbers > 0, found[:, :-1] / np.maximum(numbers, 1), centroids)


@app.function(scale=skerry.Scale(min=WORKERS, max=WORKERS))
def train(part: int) -> list[np.ndarray]:
    """Do every round of every start for one part of the pictures, in step with the others; return the centroids."""
    pictures, _ = make_pictures()
    mine = np.array_split(pictures, WORKERS)[part]
    ends = []
    for start in range(STARTS):
        centroids = choose_start(pictures, start)
        for number in range(MOST_ROUNDS):
            name = f"{start}/{number}"
            found = count_up(mine, centroids)
            with lock:
                sums.put(name, add(sums.get(name), found))
            sums.barrier(name, WORKERS).wait(part)
            moved = move(centroids, sums.get(name))
            if np.array_equal(moved, centroids):
                break
            centroids = moved
        ends.append(centroids)
    return ends


def train_alone(start: int) -> np.ndarray:
    """Return the centroids that one thread finds by itself, to compare with."""
    pictures, _ = make_pictures()
    centroids = choose_start(pictures, start)
    for _ in range(MOST_ROUNDS):
        moved = move(centroids, count_up(pictures, centroids))
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


# What came of it


def measure(pictures: np.ndarray, centroids: np.ndarray) -> float:
    """Return how far the pictures are from their centroids, squared and added up."""
    return float(distances_to(pictures, centroids).min(axis=1).sum())


def name_kinds(nearest: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the kind of which each centroid has the most pictures."""
    table = np.zeros((KINDS, KINDS), dtype=np.int64)
    np.add.at(table, (nearest, kinds), 1)
    names: np.ndarray = table.argmax(axis=1)
    return names


def show(centroid: np.ndarray) -> list[str]:
    """Return a centroid as lines of text."""
    shades = np.clip((centroid / 16 * len(SHADES)).astype(int), 0, len(SHADES) - 1).reshape(SIDE, SIDE)
    return ["".join(SHADES[shade] for shade in line) for line in shades.tolist()]


def show_centroids(centroids: np.ndarray, nearest: np.ndarray) -> None:
    """Print the centroids side by side, and how many pictures each has."""
    for lines in zip(*map(show, centroids), strict=True):
        print("  ".join(lines))
    print("  ".join(f"{number:>{SIDE}}" for number in np.bincount(nearest, minlength=KINDS).tolist()))


def show_starts(pictures: np.ndarray, ends: list[np.ndarray]) -> None:
    """Print how good each start was."""
    squares = [measure(pictures, centroids) for centroids in ends]
    for start, square in enumerate(squares):
        mark = "  the best" if square == min(squares) else ""
        print(f"start {start}: squared distances {square:.6f}{mark}")
    print()


def show_kinds(found: np.ndarray, kinds: np.ndarray) -> None:
    """Print as what the pictures of each kind were taken."""
    table = np.zeros((KINDS, KINDS), dtype=np.int64)
    np.add.at(table, (kinds, found), 1)
    print("\nkind  " + "  ".join(f"as {kind}" for kind in range(KINDS)) + "   right")
    for kind, row in enumerate(table.tolist()):
        numbers = "  ".join(f"{number:>4}" for number in row)
        print(f"{kind:>4}  {numbers}  {row[kind] / sum(row):>6.1%}")


def show_strangest(pictures: np.ndarray, centroids: np.ndarray, count: int = 6) -> None:
    """Print the pictures that are like no centroid."""
    distances = distances_to(pictures, centroids).min(axis=1)
    strangest = np.argsort(-distances, kind="stable")[:count]
    print("\nlike none of them:", ", ".join(str(number) for number in strangest.tolist()))
    for lines in zip(*(show(pictures[number]) for number in strangest), strict=True):
        print("  ".join(lines))


def report(centroids: np.ndarray) -> None:
    """Print the centroids, how well they tell the kinds apart, and which pictures they do not describe."""
    pictures, kinds = make_pictures()
    nearest = distances_to(pictures, centroids).argmin(axis=1)
    found = name_kinds(nearest, kinds)[nearest]
    show_centroids(centroids, nearest)
    show_kinds(found, kinds)
    show_strangest(pictures, centroids)
    print(f"\nin the right place: {np.mean(found == kinds):.4f}")


def main() -> None:
    """Train with all workers, keep the best start, and say what came of it."""
    began_s = time.perf_counter()
    with app.run():
        results = list(train.map(range(WORKERS)))
    took_s = time.perf_counter() - began_s
    pictures, _ = make_pictures()
    best = min(range(STARTS), key=lambda start: measure(pictures, results[0][start]))
    show_starts(pictures, results[0])
    report(results[0][best])
    same = all(np.array_equal(ends[best], train_alone(best)) for ends in results)
    print(f"all workers have found what one finds alone: {same}")
    print(f"trained in {took_s:.1f} s")


if __name__ == "__main__":
    main()
