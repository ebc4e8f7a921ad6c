"""A chain: pages are fetched and read side by side, one of them is broken, and a failing order is taken back.

Run: python examples/chain.py
"""

from dataclasses import dataclass

import skerry
from skerry import Retry
from skerry.errors import HandlerError

app = skerry.App("library")
shelf = app.state("shelf")


@dataclass
class Page:
    """A page of a book."""

    number: int
    text: str


@app.function
def open_book(title: str) -> list[Page]:
    """Take a book apart."""
    return [Page(number, f"{title}, page {number}" if number != 3 else "") for number in range(6)]


@app.function
def count_words(page: Page) -> int:
    """Count the words of a page; one without any cannot be read."""
    if not page.text:
        raise ValueError("the page is empty")
    return len(page.text.split())


@app.function
def add_up(counts: list[int]) -> str:
    """Say how many words there are."""
    return f"{sum(counts)} words on {len(counts)} pages"


@app.function
def reserve(title: str) -> str:
    """Reserve a book; what a step writes with its key it writes once, however often it has to run."""
    with shelf.batch(once=skerry.context().step) as batch:
        batch.increment("reserved")
    return title


@app.function
def release(title: str) -> None:
    """Take a reservation back."""
    with shelf.batch(once=skerry.context().step) as batch:
        batch.increment("reserved", -1)


@app.function
def pay(title: str) -> str:
    """Pay for a book, which never works."""
    raise skerry.UserError(f"{title}: no money")


words = app.chain(
    "words", [open_book, skerry.each(skerry.step(count_words, retry=Retry(attempts=1, delay="10ms"))), add_up]
)
order = app.chain("order", [skerry.step(reserve, undo=release), skerry.wait("100ms"), pay])


def main() -> None:
    """Run the chains in both modes, and see what became of what failed."""
    with app.run():
        for mode in ("separated", "fused"):
            run = words.start("Skerries", mode=mode)
            print(f"{mode}: {run.result()}")
            (dead,) = run.record()["dead"]
            print(f"left out: page {dead['item']}")
        try:
            order.remote("Lighthouses")
        except HandlerError as error:
            print("not ordered:", error.details["step"])
        print("still reserved:", shelf.get("reserved", int))


if __name__ == "__main__":
    main()
