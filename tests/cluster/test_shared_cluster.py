"""Who takes the test cluster up and down: played by a program that only notes what it is told."""

import subprocess
import sys
import textwrap

import pytest

from support.engine_process import wait_until
from support.shared_cluster import ClusterProgram, use

PROGRAM = """\
#!/bin/sh
cd {folder}
case $1 in
status) [ -e run/up ] && echo '{{"state": "healthy"}}' ;;
up) echo "$@" >> told; mkdir -p run; touch run/up ;;
down) echo "$@" >> told; rm -rf run ;;
esac
"""
USER = """
    import sys
    from support.shared_cluster import ClusterProgram, use
    with use(ClusterProgram([sys.argv[1]], sys.argv[2])):
        print("uses", flush=True)
        sys.stdin.readline()
"""
UP, DOWN = "up --nodes 2 --delay-ms 15", "down"


class Played:
    def __init__(self, folder):
        self.folder = folder
        program = folder / "cluster"
        program.write_text(PROGRAM.format(folder=folder))
        program.chmod(0o755)
        self.cluster = ClusterProgram([program], folder)

    def told(self):
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []

    def start_user(self):
        """Start another process of the tests; it uses the cluster until it gets a line, or is killed."""
        command = [sys.executable, "-c", textwrap.dedent(USER), *self.cluster.command, str(self.folder)]
        user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert user.stdout.readline() == "uses\n"
        return user


def leave(user):
    user.communicate("\n", timeout=30)
    assert user.returncode == 0


@pytest.fixture
def played(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    return Played(tmp_path)


def test_the_last_one_takes_down_what_the_first_one_took_up(played):
    first = played.start_user()
    assert played.told() == [UP]
    second = played.start_user()
    with use(played.cluster):
        leave(first)
        leave(second)
        assert played.told() == [UP]
    assert played.told() == [UP, DOWN]


def test_a_cluster_that_was_up_before_stays_up(played):
    subprocess.run([*played.cluster.command, "up"], check=True)
    with use(played.cluster) as found:
        assert found == {"state": "healthy"}
    assert played.told() == ["up"]


def test_who_is_killed_is_counted_no_more(played):
    killed = played.start_user()
    with use(played.cluster):
        killed.kill()
        killed.communicate()
    assert played.told() == [UP, DOWN]


def test_what_is_left_of_a_killed_run_is_used_and_taken_down_by_the_next(played):
    killed = played.start_user()
    killed.kill()
    killed.communicate()
    wait_until(lambda: played.cluster.status() is not None)
    with use(played.cluster):
        assert played.told() == [UP]
    assert played.told() == [UP, DOWN]


def test_a_cluster_that_does_not_come_up_says_what_it_said(played):
    played.cluster.command = ["sh", "-c", "echo no cgroups; exit 1", "cluster"]
    with pytest.raises(AssertionError, match="no cgroups"), use(played.cluster):
        raise AssertionError("used")


def test_a_process_leaves_the_cluster_before_the_first_test_after_all_that_need_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = pods\n")
    (tmp_path / "conftest.py").write_text(
        textwrap.dedent("""
        from pathlib import Path
        import pytest
        pytest_plugins = ["support.cluster_fixtures"]

        @pytest.fixture(scope="session")
        def cluster(leaving):
            leaving.callback(Path("left").touch)
        """)
    )
    (tmp_path / "test_some.py").write_text(
        textwrap.dedent("""
        from pathlib import Path
        import pytest

        def left(): return Path("left").exists()
        def test_uses_it(cluster): assert not left()
        def test_does_not(): assert not left()
        @pytest.mark.pods
        def test_asks_for_it(request): assert request.getfixturevalue("cluster") is None and not left()
        def test_comes_afterwards(): assert left()
        """)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
