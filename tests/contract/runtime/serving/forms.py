"""Functions for requests in all forms."""

import skerry

app = skerry.App("forms")


@app.function(max_body="64KiB")
def echo(value):
    return value


@app.function
def add(a: int, b: int = 1) -> int:
    return a + b


@app.function
def reverse(text: str) -> str:
    return text[::-1]


@app.function
def fail(secret: str) -> None:
    print("about to fail")
    raise ValueError(f"the secret is {secret}")
