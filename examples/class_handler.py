"""A class as a handler: `load` runs once when a worker starts, `unload` when it stops, and the calls share its state.

Run: python examples/class_handler.py
"""

import os
import time

import skerry

app = skerry.App("vocabulary")


class Translator:
    """Holds a small dictionary, as another handler would hold a model."""

    def load(self) -> None:
        """Build the dictionary; no request waits for this more than once per worker."""
        self.words = {"one": "eins", "two": "zwei", "three": "drei"}
        self.loaded_at_s = time.time()

    def unload(self) -> None:
        """Say goodbye in the function's log (`skerry logs translate`)."""
        print(f"worker {os.getpid()} served for {time.time() - self.loaded_at_s:.1f} s")

    def __call__(self, word: str, *, otherwise: str = "?") -> str:
        """Return the German word, or what to say where there is none."""
        return self.words.get(word, otherwise)


# Written as a call, the decorator gives the class the type of a function: translate.remote(...) is checked.
translate = app.function(name="translate", scale=skerry.Scale(max=1))(Translator)


def main() -> None:
    """Translate a few words."""
    with app.run():
        print([translate.remote(word) for word in ("one", "two", "three")])
        print(translate.remote("four", otherwise="not known"))


if __name__ == "__main__":
    main()
