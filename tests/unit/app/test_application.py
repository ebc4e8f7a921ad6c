import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import skerry
from skerry.app.function import AsyncFunction, Function
from skerry.errors import AppImportError, ConfigError, EngineNotRunningError, NameTakenError, SpecError

app = skerry.App("tests")


@pytest.fixture
def fresh():
    return skerry.App("fresh")


def test_a_plain_call_stays_a_plain_call(fresh):
    @fresh.function
    def double(x: int) -> int:
        """Twice."""
        return 2 * x

    assert double(4) == 8
    assert double(x=5) == 10
    assert isinstance(double, Function)
    assert (double.__name__, double.__doc__, double.name) == ("double", "Twice.", "double")


def test_a_plain_call_of_an_async_function_is_its_coroutine(fresh):
    @fresh.function(concurrency=4)
    async def double(x: int) -> int:
        return 2 * x

    assert asyncio.run(double(4)) == 8
    assert isinstance(double, AsyncFunction)


def test_a_plain_call_of_a_class_loads_it_once(fresh):
    loads = []

    @fresh.function
    class Model:
        def load(self):
            loads.append(self)
            self.factor = 3

        def __call__(self, x: int) -> int:
            return x * self.factor

    assert not loads
    assert [Model(1), Model(2)] == [3, 6]
    assert len(loads) == 1
    assert Model.name == "model"


def test_a_class_that_loads_asynchronously_is_loaded_once(fresh):
    loads = []

    @fresh.function
    class Model:
        async def load(self):
            await asyncio.sleep(0)
            loads.append(self)

        async def __call__(self, x: int) -> int:
            return x + len(loads)

    async def use():
        return await asyncio.gather(Model(1), Model(2))

    assert asyncio.run(use()) == [2, 3]


def test_only_given_options_are_kept(fresh):
    @fresh.function(memory="200MiB", cpu=2, scale=skerry.Scale(max=4), env={"A": "b"})
    def train(x: int) -> int:
        return x

    assert train.options == {"memory": "200MiB", "cpu": 2, "scale": skerry.Scale(max=4), "env": {"A": "b"}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": "200"}, "memory = '200'"),
        ({"memory": 200}, "memory = 200"),
        ({"cpu": -1}, "cpu"),
        ({"timeout": "5 parsecs"}, "timeout"),
        ({"scale": {"max": 4}}, r"write skerry\.Scale"),
        ({"scale": 4}, "scale = 4: expected Scale"),
        ({"batch": {"max_size": 4}}, r"write skerry\.Batch"),
        ({"batch": 64}, "batch = 64: expected Batch"),
        ({"max_in_flight": -1}, "max_in_flight"),
        ({"name": "Bad Name"}, "name = 'Bad Name'"),
    ],
)
def test_wrong_options_are_refused_where_they_are_written(fresh, options, message):
    with pytest.raises(SpecError, match=message):
        fresh.function(**{"name": "f", **options})(lambda x: x)


def test_unknown_options_are_type_errors(fresh):
    with pytest.raises(TypeError, match="memori"):
        fresh.function(memori="1GiB")


def test_two_functions_of_one_name_are_refused(fresh):
    fresh.function(name="same")(lambda x: x)

    with pytest.raises(NameTakenError, match="'same' already"):
        fresh.function(name="same")(lambda x: x)


@pytest.mark.parametrize("handler", [3, len, type("NoCall", (), {})])
def test_what_cannot_handle_calls_is_refused(fresh, handler):
    with pytest.raises(ConfigError):
        fresh.function(name="wrong")(handler)


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a_b", "a" * 64, 7])
def test_wrong_app_names_are_refused(name):
    with pytest.raises(SpecError, match="lower-case"):
        skerry.App(name)


@pytest.mark.parametrize("key", ["requirements", "imports"])
@pytest.mark.parametrize("value", ["numpy", [1]])
def test_lists_of_an_app_are_lists_of_strings(key, value):
    with pytest.raises(SpecError, match=key):
        skerry.App("fresh", **{key: value})


def test_an_app_knows_its_file_and_its_name_there():
    target = app.target()

    assert (target.file, target.attribute) == (Path(__file__).resolve(), "app")


def test_an_app_without_a_name_in_its_module_cannot_be_deployed(fresh):
    with pytest.raises(AppImportError, match="give app 'fresh' a name"):
        fresh.target()


def test_an_app_that_was_not_made_in_a_file_cannot_be_deployed():
    code = "import skerry\ntry:\n    skerry.App('x').target()\nexcept skerry.ConfigError as error:\n    print(error)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "not made in a file" in said


RUN = """
import skerry

app = skerry.App("shop")


@app.function
def greet(name: str) -> str:
    return name


if __name__ == "__main__":
    running = app.run()
    print(running)
    with running:
        print(running, running.address)
    print(running)
"""


def test_an_app_that_runs_is_shown_by_its_address_and_functions(tmp_path):
    (tmp_path / "shop.py").write_text(RUN)

    process = subprocess.run([sys.executable, tmp_path / "shop.py"], capture_output=True, text=True, check=True)

    before, during, after = process.stdout.splitlines()
    shown, address = during.rsplit(" ", 1)
    assert before == after == "<RunningApp shop: not running>"
    assert shown == f"<RunningApp shop at {address}: greet>"


def test_an_app_from_standard_input_is_told_that_it_needs_a_file():
    process = subprocess.run([sys.executable], input=RUN, capture_output=True, text=True, check=False)

    assert process.returncode == 1
    assert "app 'shop' was not made in a file; write it into one to run or deploy it" in process.stderr


def test_a_view_of_an_app_calls_its_platform_and_leaves_the_app_alone(fresh, in_process, monkeypatch, tmp_path):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path))
    monkeypatch.delenv("SKERRY_ENGINE", raising=False)

    @fresh.function(idempotent=True)
    def double(x: int) -> int:
        return 2 * x

    platform = in_process(fresh)

    assert fresh.at(platform).functions["double"].remote(4) == 8
    assert platform.calls == [("double", (4,), {}, True)]
    with pytest.raises(EngineNotRunningError, match=str(tmp_path)):
        double.remote(4)


def test_running_inside_a_worker_is_refused(monkeypatch):
    monkeypatch.setenv("SKERRY_ENGINE", "/some/engine.sock")

    with pytest.raises(ConfigError, match="start itself without end"), app.run():
        pass


def test_a_run_that_has_not_begun_has_no_address():
    with pytest.raises(ConfigError, match="only inside the block"):
        _ = app.run().address
