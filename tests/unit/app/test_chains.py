"""Chains as they are declared: what fits and what does not, and how they run here."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel

import skerry
from skerry.app.chain_types import fits
from skerry.errors import ConfigError, HandlerError, NameTakenError, SpecError
from skerry.runtime.inspection import describe
from skerry.spec import KNATIVE, KUBERNETES, FunctionSpec, function_spec, refuse_unsupported
from skerry.spec.chain import chain_of


@dataclass
class Page:
    number: int
    text: str


class Report(BaseModel):
    pages: list[str]


app = skerry.App("pages")
undone: list[str] = []


@app.function
def fetch(count: int) -> list[Page]:
    return [Page(number, f"page {number}") for number in range(count)]


@app.function
def read(page: Page) -> str:
    if page.number == 2:
        raise ValueError("poison")
    return page.text


@app.function
async def join(pages: list[str]) -> Report:
    return Report(pages=pages)


@app.function
def length(pages: list[str]) -> int:
    return len(pages)


@app.function
def kind(count: int) -> Literal["few", "many"]:
    return "few" if count < 3 else "many"


@app.function
def book(count: int) -> str:
    return f"booking of {count}"


@app.function
def unbook(booking: str) -> None:
    undone.append(booking)


@app.function
def fail(value: Any) -> int:
    raise ValueError("never")


@app.function
def pair(both: tuple[str, int]) -> str:
    return f"{both[0]}, {both[1]}"


@app.function
def items(numbers: skerry.Items[int]) -> list[int]:
    return [2 * number for number in numbers]


@app.function
def stream(count: int):
    yield from range(count)


@app.function
def two(a: int, b: int) -> int:
    return a + b


@app.function
def react(event: skerry.Event) -> None: ...


report = app.chain("report", [fetch, skerry.each(read), join])
booking = app.chain("booking", [skerry.step(book, undo=unbook), fail])
chosen = app.chain("chosen", [skerry.choice(kind, {"many": [fetch, skerry.each(read), length]}, otherwise=items)])
both = app.chain("both", [skerry.parallel(book, items), skerry.wait("1ms"), pair])


def test_a_chain_called_here_does_its_steps_here():
    assert report(4) == Report(pages=["page 0", "page 1", "page 3"])
    assert chosen(2) == 4
    assert chosen(5) == 4
    assert both(3) == "booking of 3, 6"


def test_a_chain_that_fails_here_undoes_what_it_has_done_and_says_where(capsys):
    undone.clear()
    with pytest.raises(HandlerError, match=r"chain 'booking': step 1 has failed: function 'fail' failed"):
        booking(7)
    assert undone == ["booking of 7"]
    assert "never" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([fetch, join], r"'fetch' returns list\[.*Page\], and 'join' takes list\[str\]"),
        ([fetch, skerry.each(length)], r"an item of 'fetch' returns Page, and 'length' takes list\[str\]"),
        ([book, skerry.each(read)], "each takes a list, and 'book' returns str"),
        ([skerry.step(book, undo=length)], r"'book' returns str, and its undo 'length' takes list\[str\]"),
        (
            [skerry.choice(length, {"a": []})],
            r"'length' returns int, and a choice needs the name of a branch: str \| bool",
        ),
        (
            [skerry.parallel(book, book), pair],
            r"parallel returns tuple\[str, str\], and 'pair' takes tuple\[str, int\]",
        ),
        ([stream], "function 'stream' is a generator"),
        ([two], "function 'two' takes 2 parameters; a step takes one value"),
        ([react], "function 'react' takes an event"),
        ([skerry.wait("1s"), "read"], "'read' is no function of an app"),
        ([], "a chain: it needs a step"),
    ],
)
def test_steps_that_do_not_fit_are_refused_when_the_chain_is_declared(parts, said):
    with pytest.raises(SpecError, match=said):
        app.chain("wrong", parts)
    assert "wrong" not in app.functions


def test_options_out_of_range_and_names_that_are_taken_are_refused():
    with pytest.raises(SpecError, match="branch 'a/b'"):
        skerry.choice(kind, {"a/b": []})
    with pytest.raises(SpecError, match="in_flight = 0"):
        skerry.each(read, in_flight=0)
    with pytest.raises(SpecError, match="poison = 'skip'"):
        skerry.each(read, poison="skip")
    with pytest.raises(SpecError, match=r"wait \(seconds\)"):
        skerry.wait("40d")
    with pytest.raises(SpecError, match="mode = 'both'"):
        app.chain("wrong", [fetch], mode="both")
    with pytest.raises(SpecError, match="at most 100"):
        app.chain("wrong", [skerry.wait("1s")] * 101)
    with pytest.raises(NameTakenError):
        app.chain("fetch", [fetch])
    other = skerry.App("other")
    with pytest.raises(SpecError, match="'fetch' is no function of this app"):
        other.chain("wrong", [fetch])


@pytest.mark.parametrize(
    ("given", "wanted", "fit"),
    [
        (int, float, True),
        (int, str, False),
        (bool, int, True),
        (str, str | None, True),
        (str | None, str, False),
        (None, None, True),
        (dict[str, Any], Page, True),
        (Page, dict[str, Any], True),
        (dict[str, int], dict[str, str], False),
        (str, Page, False),
        (Page, Report, False),
        (list[int], list[float], True),
        (list, list[str], True),
        (tuple[int, int], list[int], True),
        (tuple[int, str], list[int], False),
        (list[int], int, False),
        (Literal["a"], Literal["a", "b"], True),
        (Literal[1], str, False),
        (Any, Page, True),
    ],
)
def test_what_fits(given, wanted, fit):
    assert fits(given, wanted) is fit


def test_a_plan_survives_its_record_and_is_part_of_what_is_deployed():
    for chain in (report, booking, chosen, both):
        assert chain_of(chain.plan.to_dict(), where="test") == chain.plan
    options = describe(app)["functions"]["chosen"]["options"]
    spec = function_spec({"name": "chosen", **options}, where="test")
    assert spec.chain == chosen.plan
    assert function_spec(spec.to_dict(), where="test") == spec
    assert chosen.plan.functions == ("kind", "fetch", "read", "length", "items")
    with pytest.raises(SpecError, match="kind = 'jump'"):
        chain_of({"steps": [{"kind": "jump"}]}, where="test")


@pytest.mark.parametrize("platform", [KNATIVE, KUBERNETES])
def test_clusters_refuse_chains_by_name(platform):
    with pytest.raises(SpecError, match=f"{platform} does not honour chain"):
        refuse_unsupported(FunctionSpec(name="report", chain=report.plan), platform)


def test_a_chain_is_run_by_an_engine_and_by_nothing_else(monkeypatch):
    class Nowhere:
        is_same_machine = True

    monkeypatch.setattr(app._binding, "platform", Nowhere())
    with pytest.raises(ConfigError, match="Nowhere does no chains"):
        report.start(3)


def test_a_chain_of_a_function_that_is_local_is_local():
    own = skerry.App("own")

    @own.function(local=True)
    def note(value: int) -> int:
        return value

    assert own.chain("noted", [note]).function.options["local"] is True
    assert "local" not in report.function.options


def test_events_start_a_chain():
    own = skerry.App("own")

    @own.function
    def note(value: int) -> int:
        return value

    chain = own.chain("noted", [note])
    assert own.on(skerry.Event(type="number"))(chain) is chain
    (trigger,) = chain.function.options["triggers"]
    assert trigger.filter.dialect == {"exact": {"type": "number"}}
