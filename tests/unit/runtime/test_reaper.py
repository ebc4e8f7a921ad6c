import asyncio
import os
import subprocess

from skerry.runtime.reaper import Reaper
from support.engine_process import wait_until


def is_zombie(pid):
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def start(*command, **options):
    return subprocess.Popen(command, **options)


class Period:
    """An event loop of which only its timer is used, which goes off when the test says."""

    def call_later(self, delay_s, callback):
        self._callback = callback
        return self

    def cancel(self):
        self._callback = None

    def end(self):
        callback, self._callback = self._callback, None
        callback()


def test_an_unclaimed_process_does_not_keep_orphans_from_being_reaped():
    ours = start("true")
    wait_until(lambda: is_zombie(ours.pid))
    orphan = start("true", start_new_session=True)
    wait_until(lambda: is_zombie(orphan.pid))
    period = Period()
    reaper = Reaper(period)
    try:
        period.end()
        assert not is_zombie(orphan.pid)
        assert is_zombie(ours.pid)  # whoever started it may still ask for its exit code
        period.end()
        assert not is_zombie(ours.pid)  # nobody did
    finally:
        reaper.close()
        orphan.wait()
        ours.wait()


def test_the_end_of_a_watched_process_is_told_with_its_exit_code(run_loop):
    async def run():
        reaper = Reaper(asyncio.get_running_loop())
        ended = asyncio.get_running_loop().create_future()
        process = start("sh", "-c", "exit 3")
        try:
            reaper.watch(process.pid, ended.set_result)
            return await asyncio.wait_for(ended, 10)
        finally:
            reaper.close()
            process.wait()

    assert run_loop(run()) == 3


def test_an_end_that_is_near_is_told_before_the_wait_for_it_returns(run_loop):
    async def run():
        reaper = Reaper(asyncio.get_running_loop())
        codes = []
        ending, lasting = start("sh", "-c", "exit 3"), start("sleep", "600")
        try:
            for process in (ending, lasting):
                reaper.watch(process.pid, codes.append)
            reaper.await_end(ending.pid, 10)
            found = list(codes)
            reaper.await_end(ending.pid, 10)  # it is told once
            reaper.await_end(lasting.pid, 0.01)
            await asyncio.sleep(0)
        finally:
            reaper.close()
            lasting.kill()
            for process in (ending, lasting):
                process.wait()
        return found, codes

    assert run_loop(run()) == ([3], [3])
