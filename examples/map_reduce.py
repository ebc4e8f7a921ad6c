"""Count words with functions: texts are scattered over workers, and what each has counted is gathered and added up.

Run: python examples/map_reduce.py
"""

import re
from collections import Counter

import skerry

app = skerry.App("words")

TEXTS = [
    "the sea is calm tonight the tide is full",
    "the moon lies fair upon the straits",
    "on the french coast the light gleams and is gone",
    "the cliffs of england stand glimmering and vast",
]


@app.function(idempotent=True, scale=skerry.Scale(max=2))
def count(text: str) -> dict[str, int]:
    """Count the words of one text. Counting twice does no harm, so a call that lost its worker is sent again."""
    return dict(Counter(re.findall(r"\w+", text)))


def main() -> None:
    """Count the words of all texts, a few texts at a time, in their order."""
    total: Counter[str] = Counter()
    with app.run():
        for number, counted in enumerate(count.map(TEXTS, in_flight=4), start=1):
            total.update(counted)
            print(f"{number} of {len(TEXTS)}: {sum(total.values())} words so far")
    print(total.most_common(3))


if __name__ == "__main__":
    main()
