import errno
import os

import pytest

from skerry.errors import StorageError
from skerry.store.objects import faults


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (
            errno.ENOSPC,
            r"the disk is full after 1,000 bytes of the object; [\d,]+ of [\d,]+ bytes are free in .*Make room",
        ),
        (errno.EDQUOT, "the quota is used up after 1,000 bytes"),
        (errno.EFBIG, "a file may not grow so far"),
        (errno.EACCES, "permission denied in .*; its owner has to let this user"),
        (errno.EPERM, "a store needs symbolic links"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_an_error_of_the_system_says_where_what_and_what_to_do(tmp_path, number, what):
    error = OSError(number, os.strerror(number))
    told = faults.of_system(error, "file:///x", "a/b", str(tmp_path / "not" / "made"), done_bytes=1000)
    assert isinstance(told, StorageError)
    with pytest.raises(StorageError, match=f"the store failed at file:///x, object a/b: .*{what}"):
        raise told


def test_what_a_server_says_is_told_without_its_noise():
    text = "Generic S3 error: in 2 ms - 503: <Error><Code>SlowDown</Code><Message>Please wait</Message></Error>"
    told = faults.of_service(RuntimeError(text + "\n\nDebug source:\nNoise { }"), "s3://x", None)
    assert str(told) == "the store failed at s3://x: SlowDown: Please wait"
    told = faults.of_service(
        RuntimeError("Generic S3 error: connection\n refused\n\nDebug source: Noise"), "s3://x", "a"
    )
    assert str(told) == "the store failed at s3://x, object a: connection refused"
