"""Batching: callers send one item each, and the handler gets those that wait together, as a model likes them.

Run: python examples/batching.py
"""

import time

import skerry

app = skerry.App("batching")

WORDS = {"good": 1.0, "great": 2.0, "bad": -1.0, "awful": -2.0}


class Mood:
    """Stands for a model: a call costs 20 ms, however many texts it is given."""

    def load(self) -> None:
        """Load the model."""
        self.words = dict(WORDS)

    def __call__(self, texts: skerry.Items[str]) -> list[tuple[float, int] | ValueError]:
        """Return the mood of each text and the size of the batch; one that cannot be judged fails alone."""
        time.sleep(0.02)
        return [self._judge(text, len(texts)) for text in texts]

    def _judge(self, text: str, batch: int) -> tuple[float, int] | ValueError:
        known = [self.words[word] for word in text.split() if word in self.words]
        return (sum(known), batch) if known else ValueError(f"no known word in {text!r}")


# Each caller sends a `str` and gets what one item of the list is. The objective is kept for the oldest item of a batch.
mood = app.function(name="mood", batch=skerry.Batch(max_size=16, objective="200ms"), scale=skerry.Scale(max=1))(Mood)


# A handler that knows nothing of batches can have them too: its worker is handed several calls at a time.
@app.function(batch=skerry.Batch(max_size=32, objective="50ms"))
def length(text: str) -> int:
    """Return the length of a text."""
    return len(text)


def main() -> None:
    """Ask for many texts at a time."""
    print("here:", mood("a good day"))
    with app.run():
        print("one:", mood.remote("a great day"))
        results = list(mood.map(["good", "bad", "good great", "xyz"] * 16, return_errors=True))
        moods = [result[0] for result in results[:3] if isinstance(result, tuple)]
        print("in order:", moods)
        print("failed alone:", sum(isinstance(result, skerry.FunctionError) for result in results), "of", len(results))
        sizes = [result[1] for result in results if isinstance(result, tuple)]
        print("batched:", max(sizes) > 1)
        print("lengths:", list(length.map(["a", "bb", "ccc"])))


if __name__ == "__main__":
    main()
