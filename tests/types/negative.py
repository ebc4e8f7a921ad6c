"""What type checkers must refuse: each line is marked with its error; checked by tests/unit/test_types.py."""

import skerry

app = skerry.App("types")


@app.function
def count(text: str) -> int:
    return len(text)


@app.function
async def fetch(address: str, tries: int = 1) -> bytes:
    return address.encode() * tries


@app.function
def pair(left: int, right: int) -> int:
    return left + right


class Classifier:
    def __call__(self, index: int) -> str:
        return str(index)


classify = app.function(Classifier)


@app.function(memory=200)  # error: call-overload, untyped-decorator
def heavy(text: str) -> int:
    return len(text)


@app.function(memori="200MiB")  # error: call-overload, untyped-decorator
def misspelt(text: str) -> int:
    return len(text)


@app.function(scale={"max": 4})  # error: call-overload, untyped-decorator
def scaled(text: str) -> int:
    return len(text)


count(1)  # error: arg-type
count.remote(1)  # error: arg-type
count.remote("a", "b")  # error: call-arg
count.remote(txt="a")  # error: call-arg
count.spawn()  # error: call-arg
count.map([1])  # error: list-item
fetch.map([b"a"])  # error: list-item
pair.map([1])  # error: arg-type, misc
count.map(["a"], in_flight="4")  # error: call-overload
text: str = count.remote("a")  # error: assignment
number: int = fetch.remote("a")  # error: assignment
data: bytes = fetch("a")  # error: assignment
job: skerry.Job[str] = count.spawn("a")  # error: assignment
classify.remote("one")  # error: arg-type
classify("one")  # error: arg-type
skerry.Scale(maximum=4)  # error: call-arg
skerry.App("types", requirements=[1])  # error: list-item
