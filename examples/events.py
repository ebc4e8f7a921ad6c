"""CloudEvents in and out: the function takes an event, and answers with one that says what came of it.

Run: python examples/events.py
"""

import json
import urllib.request

import skerry
from skerry import Event

app = skerry.App("alarms")


@app.function
def watch(event: Event) -> Event:
    """Turn a reading into an alarm, or into a note that all is well."""
    hot = event.data["celsius"] > 60
    kind = "org.example.alarm" if hot else "org.example.fine"
    return Event(type=kind, source="/watch", subject=event.subject, data={"celsius": event.data["celsius"]})


def main() -> None:
    """Send one event from Python and one over HTTP."""
    with app.run() as running:
        reading = Event(type="org.example.reading", source="/oven", subject="oven-1", data={"celsius": 75})
        answer = watch.remote(reading)
        print(answer.type, answer.subject, answer.data)

        # In binary mode the attributes are headers and the body is the data: what any CloudEvents sender does.
        request = urllib.request.Request(
            f"{running.address}/function/watch",
            data=json.dumps({"celsius": 20}).encode(),
            headers={
                "Content-Type": "application/json",
                "ce-specversion": "1.0",
                "ce-id": "reading-2",
                "ce-source": "/oven",
                "ce-type": "org.example.reading",
            },
        )
        with urllib.request.urlopen(request) as response:
            print(response.headers["ce-type"], json.load(response))


if __name__ == "__main__":
    main()
