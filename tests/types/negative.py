"""What type checkers must refuse: each line is marked with its error; checked by tests/unit/test_types.py."""

from collections.abc import Iterator

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


@app.function
def classify_all(images: skerry.Items[bytes]) -> list[int]:
    return [len(image) for image in images]


@app.function
def words(text: str) -> Iterator[str]:
    yield from text.split()


@app.function(batch=64)  # error: call-overload, untyped-decorator
def batched(text: str) -> int:
    return len(text)


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
classify_all([b"a"])  # error: arg-type
classify_all.remote([b"a"])  # error: arg-type
classify_all.remote(b"a", b"b")  # error: call-arg
labels: list[int] = classify_all.remote(b"a")  # error: assignment
words.stream(1)  # error: arg-type
word: str = words.remote("a b")  # error: assignment
count.stream("a")  # error: attr-defined
count.with_options(timeout=5)  # error: arg-type
count.with_options(deadline="5s")  # error: call-arg
skerry.Batch(weight="tokens")  # error: arg-type
skerry.Scale(maximum=4)  # error: call-arg
skerry.App("types", requirements=[1])  # error: list-item
app.serve("digits")  # error: call-overload
app.serve("digits", model="digits", memory=200)  # error: call-overload
app.serve("digits", model="digits", concurrency=4)  # error: call-overload, call-overload
digits = app.serve("digits", model="digits", before=count)
digits.remote(1)  # error: arg-type
state = app.state("counts")
total: str = state.increment("a")  # error: assignment
state.increment("a", by=1.5)  # error: arg-type
state.put("a", 1, lease=7)  # error: arg-type
state.put("a", 1, ttl="5s")  # error: call-arg


app.on("seen")  # error: arg-type
app.on(skerry.Event(type="seen"), filter="x")  # error: arg-type
app.every(30)  # error: arg-type
note = app.on(skerry.Event(type="seen"))(count)
note.remote(3)  # error: arg-type
