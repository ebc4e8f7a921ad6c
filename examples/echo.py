"""The smallest app: one function, called as a plain function, remotely, over many inputs, and as a job.

Run: python examples/echo.py          (starts an engine for the length of the program)
Or:  skerry run examples/echo.py      (serves it; then: curl -d '"hello"' http://127.0.0.1:8080/function/echo)
"""

import skerry

app = skerry.App("echo")


@app.function
def echo(text: str) -> str:
    """Return the text in capitals."""
    return text.upper()


def main() -> None:
    """Call the function in every way there is."""
    print("here:", echo("a plain call stays a plain call"))
    with app.run():
        print("remote:", echo.remote("hello"))
        print("map:", list(echo.map(["a", "b", "c"])))
        job = echo.spawn("later")
        print("job:", job.result(timeout_s=30))


if __name__ == "__main__":
    main()
