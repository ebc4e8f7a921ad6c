import asyncio
from types import SimpleNamespace

from skerry.runtime.front import Front
from support.echo_service import post, read_answer


def test_a_fault_of_the_servers_own_is_answered_and_the_connection_goes_on(run_loop):
    def fail(*_):
        raise ValueError("a fault")

    async def run():
        front = Front()
        spec = SimpleNamespace(name="f", max_body_bytes=1000, local=False)
        front.add_function(SimpleNamespace(spec=spec, dispatcher=SimpleNamespace(refusal=None)))
        front.respond_async = fail
        port = await front.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(2):
                writer.write(post(b"/function/f", b"1", b"prefer: respond-async"))
                status, _, body = await asyncio.wait_for(read_answer(reader), 25)
                assert (status, b'"internal"' in body) == (500, True)
        finally:
            writer.close()
            await front.stop_listening()
            await front.finish(limit_s=1.0)

    run_loop(run())


def test_a_wrong_method_is_told_the_right_ones(run_loop):
    async def run():
        front = Front()
        spec = SimpleNamespace(name="f", max_body_bytes=1000, local=False)
        front.add_function(SimpleNamespace(spec=spec, dispatcher=SimpleNamespace(refusal=None)))
        front.route("GET", "/jobs/*", lambda _: None)
        front.route("DELETE", "/jobs/*", lambda _: None)
        port = await front.listen("127.0.0.1", 0)
        for line, allow in ((b"PUT /function/f", "POST"), (b"PUT /jobs/j", "DELETE, GET, HEAD")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(line + b" HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                status, headers, _ = await asyncio.wait_for(read_answer(reader), 25)
                assert (status, headers["allow"].upper()) == (405, allow)
            finally:
                writer.close()
        await front.stop_listening()
        await front.finish(limit_s=1.0)

    run_loop(run())
