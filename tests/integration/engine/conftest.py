import pytest

from support.engine_process import Engine


@pytest.fixture
def make_engine(tmp_path):
    engines = []

    def make(name="home", **options):
        engine = Engine(tmp_path / name, **options)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(make_engine):
    return make_engine().start()


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory):
    """One engine for the tests of a module that neither end it nor look at what others deployed."""
    engine = Engine(tmp_path_factory.mktemp("engine") / "home").start()
    yield engine
    engine.close()
