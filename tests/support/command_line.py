"""Skerry's command line as a test runs it many times: a process for each command, without the imports of each.

A server of the standard library has imported what commands on clusters need, and forks for each of them: most of what
such a command does is to import the client of Kubernetes.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile

PRELOADED = ["skerry.cli.main", "skerry.cli.deploy", "skerry.app.clusters", "skerry.platforms.knative.platform"]
PRELOADED += ["kubernetes.client.api.well_known_api", "skerry.platforms.kubernetes.api.cluster"]
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(PRELOADED)


def run_command(words, *, folder, environment, timeout_s=600.0):
    """Run a command of Skerry's; return how it ended and what it printed.

    Args:
        words: The command and its arguments.
        folder: Where it runs.
        environment: All variables of its process.
        timeout_s: When it is killed, and the test fails.
    """
    command = ["skerry", *map(str, words)]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (output, errors)]
        process = _forks.Process(target=_run, args=(command, str(folder), environment, *files))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"{command} has not ended within {timeout_s:g} s")
        said = [file.read().decode() for file in (output, errors) if file.seek(0) == 0]
        ended = subprocess.CompletedProcess(command, process.exitcode, *said)
        process.close()
    return ended


def _run(command, folder, environment, output, errors):
    for number, path in ((1, output), (2, errors)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    from skerry.cli.main import main

    sys.exit(main())
