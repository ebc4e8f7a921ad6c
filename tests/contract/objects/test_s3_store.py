"""What the store on S3 promises beyond the contract: broken connections, repeated requests, strangers, secrets."""

import hashlib
import http.server
import socket
import threading
import urllib.request

import pytest

from skerry.errors import CorruptObjectError, ObjectNotFoundError, StorageError
from skerry.store.objects import open_store
from support.s3_server import PAGE

MIB = 2**20


@pytest.fixture
def bucket(s3_server, credentials):
    return s3_server.new_bucket()


@pytest.fixture
def serve_http():
    """Serve with a handler's methods; return the address."""
    servers = []

    def serve(**methods):
        methods |= {"log_message": lambda *_: None, "protocol_version": "HTTP/1.1"}
        handler = type("Handler", (http.server.BaseHTTPRequestHandler,), methods)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler, status, body=b"", headers=()):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    if "Content-Length" not in dict(headers):
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def forward(handler, endpoint):
    """Pass a request on, and return the answer of the server behind."""
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    headers = {"Content-Type": "application/octet-stream", **dict(handler.headers)}
    request = urllib.request.Request(
        endpoint + handler.path, data=body or None, headers=headers, method=handler.command
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read(), reply.headers.items()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers.items()


def test_a_list_goes_over_many_pages(s3_store):
    count = 5 * PAGE + 3
    for n in range(count):
        s3_store.put_if_absent(f"n/{n:03}", b"")
    assert [info.key for info in s3_store.list("n/")] == [f"n/{n:03}" for n in range(count)]
    assert [info.key for info in s3_store.list("n/10")] == [f"n/{n:03}" for n in range(100, count)]


def test_a_large_object_whose_pieces_fail_leaves_no_upload(s3_server, bucket):
    store = open_store(f"s3://{bucket}?endpoint={s3_server.endpoint}")

    def pieces():
        yield bytes(12 * MIB)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put("large", pieces())
    assert "<Upload>" not in s3_server.uploads(bucket)
    assert store.put("large", [bytes(12 * MIB)]).size_bytes == 12 * MIB
    assert store.describe("large").size_bytes == 12 * MIB


def test_bytes_that_are_not_what_was_put_are_found(s3_server, bucket):
    store = open_store(f"s3://{bucket}/x?endpoint={s3_server.endpoint}")
    meta = {"x-amz-meta-skerry-sha256": hashlib.sha256(b"sea").hexdigest()}
    s3_server.put(f"/{bucket}/x/right", b"sea", meta)
    s3_server.put(f"/{bucket}/x/wrong", b"see", meta)
    assert store.get("right") == b"sea"
    with pytest.raises(CorruptObjectError, match="object wrong in s3://"):
        store.get("wrong")
    with pytest.raises(CorruptObjectError):
        list(store.stream("wrong"))


def test_what_others_have_put_is_refused_and_can_be_replaced(s3_server, bucket):
    store = open_store(f"s3://{bucket}/x?endpoint={s3_server.endpoint}")
    s3_server.put(f"/{bucket}/x/a", b"sea")
    s3_server.put(f"/{bucket}/x/no%20key", b"sea")
    s3_server.put(f"/{bucket}/xy/outside", b"sea")
    with pytest.raises(CorruptObjectError, match="has no checksum"):
        store.get("a")
    assert not store.put_if_absent("a", b"new")
    assert [info.key for info in store.list()] == ["a"]
    store.put("a", b"new")
    assert store.get("a") == b"new"


def test_a_bucket_that_is_not_there_is_told(s3_server, credentials):
    store = open_store(f"s3://no-such-bucket?endpoint={s3_server.endpoint}")
    calls = (lambda: store.put("a", b""), lambda: store.put_if_absent("a", b""), lambda: store.get("a"))
    for call in (*calls, lambda: list(store.list())):
        with pytest.raises(StorageError, match="there is no such bucket"):
            call()


def test_a_server_that_is_gone_is_told_by_every_method(credentials):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        store = open_store(f"s3://bucket?endpoint=http://127.0.0.1:{unused.getsockname()[1]}&timeout_s=1")
        calls = (
            lambda: store.put("a", b""),
            lambda: store.put("a", [bytes(12 * MIB)]),
            lambda: store.put_if_absent("a", b""),
            lambda: store.get("a"),
            lambda: list(store.stream("a")),
            lambda: store.describe("a"),
            lambda: list(store.list()),
            lambda: store.delete("a"),
        )
        for call in calls:
            with pytest.raises(StorageError, match="s3://bucket"):
                call()


def test_a_server_that_never_answers_is_given_up(credentials):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_store(f"s3://bucket?endpoint=http://127.0.0.1:{silent.getsockname()[1]}&timeout_s=0.2")
        for call in (lambda: store.put("a", b""), lambda: store.put_if_absent("a", b""), lambda: store.get("a")):
            with pytest.raises(StorageError, match="object a"):
                call()


def test_a_connection_that_breaks_in_the_middle_leaves_the_old_object(s3_server, bucket, serve_http):
    broken = threading.Event()

    def pass_on(handler):
        if broken.is_set() and "partNumber=2" in handler.path:
            handler.rfile.read(MIB)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            answer(handler, *forward(handler, s3_server.endpoint))

    proxy = serve_http(do_PUT=pass_on, do_POST=pass_on, do_DELETE=pass_on, do_GET=pass_on)
    direct = open_store(f"s3://{bucket}?endpoint={s3_server.endpoint}")
    direct.put("a", b"old")
    broken.set()
    with pytest.raises(StorageError, match="object a"):
        open_store(f"s3://{bucket}?endpoint={proxy}&timeout_s=10").put("a", [bytes(12 * MIB)])
    assert direct.get("a") == b"old"
    assert "<Upload>" not in s3_server.uploads(bucket)


def test_an_answer_that_breaks_off_is_no_object(s3_server, bucket, serve_http):
    def cut_off(handler):
        handler.send_response(200)
        for name, value in (
            ("Content-Length", "1000"),
            ("ETag", '"x"'),
            ("Last-Modified", "Fri, 27 Nov 2026 03:49:59 GMT"),
            ("x-amz-meta-skerry-sha256", hashlib.sha256(bytes(1000)).hexdigest()),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(bytes(500))
        handler.close_connection = True

    store = open_store(f"s3://{bucket}?endpoint={serve_http(do_GET=cut_off)}&timeout_s=1")
    with pytest.raises(StorageError, match="object a"):
        store.get("a")
    read = []
    with pytest.raises(StorageError, match="object a"):
        read.extend(store.stream("a", chunk_bytes=100))
    assert len(b"".join(read)) < 1000


@pytest.mark.parametrize("status", [500, 503])
def test_who_has_won_a_race_knows_it_when_the_answer_was_lost(s3_server, bucket, serve_http, status):
    requests = []

    def lose_first(handler):
        reply = forward(handler, s3_server.endpoint)
        requests.append((handler.command, reply[0]))
        answer(handler, *(reply if len(requests) > 1 else (status,)))

    proxy = serve_http(do_PUT=lose_first, do_HEAD=lose_first, do_GET=lose_first)
    store = open_store(f"s3://{bucket}?endpoint={proxy}")
    assert store.put_if_absent("a", b"mine") is True
    assert [request[:2] for request in requests[:2]] == [("PUT", 200), ("PUT", 412)]
    assert store.put_if_absent("a", b"other") is False
    assert store.get("a") == b"mine"


def test_a_passing_fault_of_the_server_is_not_seen(s3_server, bucket, serve_http):
    faults = iter([500, 503, 500])

    def fail_first(handler):
        reply = forward(handler, s3_server.endpoint)
        status = next(faults, None)
        answer(handler, *((status,) if status else reply))

    store = open_store(f"s3://{bucket}?endpoint={serve_http(do_PUT=fail_first, do_HEAD=fail_first, do_GET=fail_first)}")
    store.put("a", b"sea")
    assert store.get("a") == b"sea"


def test_no_message_holds_a_secret(bucket, serve_http):
    secrets = ("the-id-of-the-key", "the-secret-of-the-key")

    def refuse(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        body = "<Error><Code>SignatureDoesNotMatch</Code><Message>not by {} with {}</Message><X>{}</X></Error>"
        answer(handler, 403, body.format(*secrets, secrets[1]).encode())

    store = open_store(f"s3://{bucket}?endpoint={serve_http(do_PUT=refuse, do_GET=refuse)}")
    shown = [repr(store), store.url, str(vars(store))]
    for call in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(StorageError, match=r"SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY") as caught:
            call()
        shown += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    assert not [text for text in shown for secret in secrets if secret in text]


def test_the_address_goes_before_the_environment(s3_server, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ObjectNotFoundError):
        open_store(f"s3://{bucket}?endpoint={s3_server.endpoint}").get("a")


def test_the_environment_names_the_server_when_the_address_does_not(s3_server, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    store = open_store(f"s3://{bucket}")
    assert s3_server.endpoint in store.url
    with pytest.raises(ObjectNotFoundError):
        store.get("a")


def test_a_child_of_a_fork_is_told_instead_of_waiting_for_ever(s3_url, start_writer):
    writer = start_writer("fork", s3_url, "a")
    writer.begin()
    child, parent = writer.result()
    assert child.startswith("StorageError")
    assert "forked" in child
    assert parent == "parent"
