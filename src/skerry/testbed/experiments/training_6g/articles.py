"""Real articles, marked true or false, and how each repeat divides them.

These are not the 3,150 articles of paper 001: its public function comes with 315 of them, and the others are from a
sample of the ISOT set. In that, nearly every true text names the agency it is from, and hardly a false one does; the
word is removed, or every method would find it and nothing else.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import DataError
from skerry.learn.shared_data import shared_folder

SEED_FILE = Path("fake_news_seed/example_data.json.gz")
ISOT_FILES = (
    ("REAL", Path("fake_news_isot_sample/true_sample.csv.gz")),
    ("FAKE", Path("fake_news_isot_sample/fake_sample.csv.gz")),
)
GIVE_AWAY = re.compile(r"\(?\breuters\b\)?", re.IGNORECASE)
TEST_RATIO = 0.2
KINDS = ("real", "seed", "isot", "made")


@dataclass(frozen=True, slots=True)
class Articles:
    """Texts with their labels.

    Args:
        texts: The articles.
        labels: ``REAL`` or ``FAKE``, one per text.
    """

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: list[int]) -> Articles:
        """Return some of the articles, in the order of ``rows``."""
        return Articles([self.texts[row] for row in rows], [self.labels[row] for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How a repeat divides the articles, as paper 001 does.

    Args:
        test: 20 %, which nobody trains on.
        halves: Twice 40 %, one for each of two functions.
    """

    test: Articles
    halves: tuple[Articles, Articles]

    @property
    def training(self) -> Articles:
        """All 80 %."""
        first, second = self.halves
        return Articles([*first.texts, *second.texts], [*first.labels, *second.labels])


def divide(articles: Articles, seed: int) -> Division:
    """Return the division of a repeat: every part has the same share of false articles, but for rounding.

    Args:
        articles: All of them.
        seed: Of the repeat.
    """
    draw = random.Random(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for label in sorted(set(articles.labels)):
        rows = [row for row, each in enumerate(articles.labels) if each == label]
        draw.shuffle(rows)
        tests = round(len(rows) * TEST_RATIO)
        middle = tests + (len(rows) - tests + 1) // 2
        for part, chosen in zip(parts, (rows[:tests], rows[tests:middle], rows[middle:]), strict=True):
            part.extend(chosen)
    for part in parts:
        draw.shuffle(part)  # a part that has one class first would be a different data set to some models
    test, first, second = (articles.take(part) for part in parts)
    return Division(test=test, halves=(first, second))


def read_articles(kind: str, count: int | None = None) -> Articles:
    """Return the articles of a kind; texts that are empty or appear twice are left out.

    Args:
        kind: ``seed``: the paper's own sample; ``isot``: the other sample; ``real``: both; ``made``: made up.
        count: The most to return, about equally many of each label.

    Raises:
        DataError: the files are not there.
    """
    if kind == "made":
        return make_articles(count or 240)
    found: list[tuple[str, str]] = []
    if kind in ("seed", "real"):
        found.extend(_read_seed(shared_folder() / SEED_FILE))
    if kind in ("isot", "real"):
        found.extend(pair for label, name in ISOT_FILES for pair in _read_isot(shared_folder() / name, label))
    unique = dict(pair for pair in found if pair[0].strip())
    articles = Articles(list(unique), list(unique.values()))
    return articles if count is None or count >= len(articles) else _first_of_each(articles, count)


def make_articles(count: int, seed: int = 0) -> Articles:
    """Return made-up articles for tests: words by Zipf's law, some of them more frequent in false articles.

    Args:
        count: How many.
        seed: Of everything that is drawn.
    """
    draw = random.Random(seed)
    words = [f"{first}{second}{third}" for first in "bdfgklmn" for second in "aeiou" for third in "lmnrst"]
    ranks = [1 / rank for rank in range(1, len(words) + 1)]
    tilted = [weight * (1.9 if number % 7 == 3 else 1) for number, weight in enumerate(ranks)]
    texts, labels = [], []
    for number in range(count):
        label = "FAKE" if number % 2 else "REAL"
        length = draw.randint(60, 200)
        chosen = draw.choices(words, weights=tilted if label == "FAKE" else ranks, k=length)
        texts.append(f"{' '.join(chosen)} {number}x")  # no two are alike
        labels.append(label)
    return Articles(texts, labels)


def _first_of_each(articles: Articles, count: int) -> Articles:
    seen: dict[str, int] = {}
    rows = []
    for row, label in enumerate(articles.labels):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= (count + 1) // 2:
            rows.append(row)
    return articles.take(rows[:count])


def _read_seed(path: Path) -> list[tuple[str, str]]:
    document = json.loads(_unpack(path))
    return [(text, document["y_dict"][key]) for key, text in document["x_dict"].items()]


def _read_isot(path: Path, label: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(_unpack(path)))
    return [(GIVE_AWAY.sub("", row["text"]).strip(), label) for row in rows]


def _unpack(path: Path) -> str:
    try:
        return gzip.decompress(path.read_bytes()).decode()
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or error}; set SKERRY_SHARED to the folder that holds data/, or use "
            "--set articles=made"
        ) from error
