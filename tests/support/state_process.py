"""A process that works on a state until it is told to stop or killed; prints a line when it is ready.

It is told the address of the store, the group, a task, and the task's own arguments.
"""

import os
import subprocess
import sys

from skerry.store.state import State, open_state, store_at


class StateProcess:
    """The process, as a test sees it."""

    def __init__(self, url, group, task, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, __file__, url, group, task, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self):
        assert self._process.stdout.readline() == "ready\n"
        return self

    def go(self):
        """Let it begin."""
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def read_line(self):
        return self._process.stdout.readline().strip()

    def kill(self):
        """End it as `kill -9` does, and return what it had printed in whole lines."""
        self._process.kill()
        rest = self._process.stdout.read()
        self.close()
        return [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    def finish(self):
        """Wait for its end, and return what it printed."""
        output = self._process.stdout.read()
        assert self._process.wait(60) == 0
        return output

    def close(self):
        self._process.kill()
        self._process.wait(60)
        self._process.stdin.close()
        self._process.stdout.close()


def count(state, times):
    for _ in range(times):
        state.increment("count")


def meet(state, parties, rounds, party):
    for number in range(rounds):
        state.append(f"before-{number}", party)
        state.barrier(f"round-{number}", parties).wait(party, 60)
        state.append("seen", [number, state.size(f"before-{number}")])


def many(state, processes, task, *arguments):
    """Do a task in several processes at once; they are forked, because importing takes most of a short test."""
    children = []
    for number in range(int(processes)):
        pid = os.fork()
        if pid == 0:
            work(state, number, task, *map(int, arguments))
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    print("done", flush=True)


def work(state, number, task, *arguments):
    code = 1
    try:
        own = State(lambda: store_at(sys.argv[1]), state.group)
        if task == "meet":
            meet(own, *arguments, number)
        else:
            count(own, *arguments)
        code = 0
    finally:
        os._exit(code)


def transfer(state):
    """Write pairs that belong together, and say what was confirmed."""
    number = 0
    while True:
        number += 1
        with state.batch() as batch:
            batch.put("left", number)
            batch.append("log", number)
            batch.increment("sum", number)
            batch.put("right", number)
        print(number, flush=True)


def hold(state):
    """Take a lock and keep it."""
    lease = state.lock("door", ttl_s=1).acquire(30)
    print(lease.token, flush=True)
    sys.stdin.readline()


def main(url, group, task, *arguments):
    store = open_state(url)
    state = State(lambda: store, group)
    state.get("warm-up")
    print("ready", flush=True)
    sys.stdin.readline()
    {"many": many, "transfer": transfer, "hold": hold}[task](state, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
