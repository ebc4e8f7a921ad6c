import os
import select
import socket
import subprocess
import sys

import msgpack


def test_a_zygote_whose_front_dies_with_an_answer_unread_ends_without_a_word():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "skerry.runtime.zygote", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, env=dict(os.environ)) as zygote:
        with ours:
            theirs.close()
            ours.send(msgpack.packb({"import": [], "patience_s": 60.0}))
            assert select.select([ours], [], [], 60)[0]  # answered, and never read: the close resets the connection
        _, said = zygote.communicate(timeout=120)
    assert (zygote.returncode, said) == (0, b"")
