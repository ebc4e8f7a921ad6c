import os
import socket
import subprocess
import sys

import pytest

SOURCE = """
import os, sys
from skerry.runtime.forking import redirect_output
redirect_output(int(sys.argv[1]))
print("two", 2, ["words"])
print("to stderr", 3, file=sys.stderr)
print("half a", end=" ")
print("line")
print("the last words")
os._exit(3)  # a crash: nothing is flushed any more
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_each_line_is_written_at_once_and_in_one_piece(unbuffered):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # each write is a packet of its own
    with ours:
        with theirs:
            command = [sys.executable, "-c", SOURCE, str(theirs.fileno())]
            variables = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
            done = subprocess.run(command, pass_fds=[theirs.fileno()], env=variables, timeout=120, check=False)
        written = list(iter(lambda: ours.recv(1000), b""))

    assert done.returncode == 3
    assert written == [b"two 2 ['words']\n", b"to stderr 3\n", b"half a line\n", b"the last words\n"]
