import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

import pytest

from skerry.errors import AppImportError
from skerry.runtime.confinement import PR_SET_CHILD_SUBREAPER, become_subreaper
from skerry.runtime.contract import parse_target
from skerry.runtime.inspecting import inspect_app
from skerry.runtime.nursery import Nursery
from skerry.runtime.reaper import Reaper
from support.engine_process import wait_until

LIMIT_S = 30.0  # for one import; no test waits for its end
LIBRARIES = {
    "lib_good": "",
    "lib_crash": "import os\nos._exit(3)",
    "lib_hang": "import time\nopen({hangs!r}, 'a').write('x')\ntime.sleep(1000)",
    "lib_slow": "import time\nopen({begun!r}, 'w').close()\ntime.sleep(0.5)",
}
APP = """
import sys
import skerry
app = skerry.App("-".join(sorted(name.replace("_", "") for name in sys.modules if name.startswith("lib_"))) or "none")

@app.function
def one() -> int:
    return 1
"""


class AdvancedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead_s = 0.0

    def time(self):
        return super().time() + self.ahead_s


def python_path(folder):
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture
def run(tmp_path):
    """Run a test's coroutine with a nursery whose zygote finds the libraries above."""
    become_subreaper()
    paths = {name: str(tmp_path / name) for name in ("begun", "hangs")}
    for name, source in LIBRARIES.items():
        (tmp_path / f"{name}.py").write_text(source.format(**paths))
    (tmp_path / "app.py").write_text(APP)

    def run(test, **options):
        async def main():
            reaper = Reaper(asyncio.get_running_loop())
            environment = {**os.environ, "PYTHONPATH": python_path(tmp_path)}
            nursery = Nursery(Path(sys.executable), reaper=reaper, environment=environment, **options)
            try:
                async with asyncio.timeout(60 + 2 * LIMIT_S):
                    await test(nursery)
            finally:
                nursery.stop()
                reaper.close()

        with asyncio.Runner(loop_factory=AdvancedLoop) as runner:
            runner.run(main())

    yield run
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)  # orphans of other tests are none of this process's business


async def preloaded(nursery, folder):
    """Return the libraries that a new worker finds imported, or None when its zygote died."""
    log_fd = os.open(os.devnull, os.O_WRONLY)
    try:
        found = await inspect_app(nursery, parse_target(str(folder / "app.py")), log_fd=log_fd)
    except AppImportError:
        return None
    finally:
        os.close(log_fd)
    return set(found["name"].split("-")) - {"none"}


async def first_answer(nursery, folder, attempts):
    """Return what the first worker that comes alive finds, as a pool would get it that starts again and again."""
    for _ in range(attempts):
        found = await preloaded(nursery, folder)
        if found is not None:
            return found
    raise AssertionError(f"no worker came alive in {attempts} attempts")


def processes_with(variable):
    """Return the live processes whose environment has a variable."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and variable in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def test_workers_find_what_was_preloaded(run, tmp_path):
    async def test(nursery):
        nursery.preload(["lib_good"])
        assert await preloaded(nursery, tmp_path) == {"libgood"}

    run(test)


async def end_limits(folder, count):
    """Let the time for an import be over as soon as it hangs, so many times."""
    for hanging in range(1, count + 1):
        await asyncio.to_thread(wait_until, lambda hanging=hanging: (folder / "hangs").stat().st_size == hanging)
        await asyncio.sleep(0.1)  # the loop reads what the zygote has said before
        asyncio.get_running_loop().ahead_s += LIMIT_S


@pytest.mark.parametrize("bad", ["lib_crash", "lib_hang"], ids=["crash", "hang"])
def test_a_library_that_zygotes_do_not_survive_is_left_to_the_workers_and_the_others_are_not(run, tmp_path, bad):
    async def test(nursery):
        (tmp_path / "hangs").touch()
        ending = asyncio.create_task(end_limits(tmp_path, 2 if bad == "lib_hang" else 0))
        nursery.preload(["json", bad, "lib_good"])
        assert await first_answer(nursery, tmp_path, 3) == {"libgood"}
        await ending
        starts = nursery.starts
        nursery.stop()
        assert await preloaded(nursery, tmp_path) == {"libgood"}
        nursery.preload([bad])
        assert await preloaded(nursery, tmp_path) == {"libgood"}
        assert nursery.starts == starts + 1

    run(test, import_limit_s=LIMIT_S)


def test_a_zygote_that_somebody_kills_while_it_imports_costs_no_library(run, tmp_path):
    async def test(nursery):
        nursery.preload(["lib_good", "lib_slow"])
        nursery.start()
        await asyncio.to_thread(wait_until, (tmp_path / "begun").exists)
        os.kill(nursery.pid, signal.SIGKILL)
        assert await first_answer(nursery, tmp_path, 2) == {"libgood", "libslow"}

    run(test)


def test_a_patient_zygote_forks_nothing_ahead_until_it_is_told_to_settle(run, tmp_path):
    mark = f"PYTHONPATH={python_path(tmp_path)}".encode()

    def forked(nursery):
        return [pid for pid in processes_with(mark) if pid != nursery.pid]

    async def test(nursery):
        assert await preloaded(nursery, tmp_path) == set()
        await asyncio.to_thread(wait_until, lambda: not forked(nursery), what="the end of the one that was asked for")
        nursery.settle()
        await asyncio.to_thread(wait_until, lambda: len(forked(nursery)) == 1, what="the process forked ahead")

    run(test, patience_s=1000.0)
