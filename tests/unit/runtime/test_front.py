import asyncio
from types import SimpleNamespace

from skerry.runtime.front import Front
from skerry.runtime.message import Response
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


def test_a_call_for_another_app_is_refused_each_time_and_others_are_taken(run_loop):
    taken = []

    def take(exchange):
        taken.append(bytes(exchange.body))
        exchange.reply(Response(b"1"))

    async def run():
        front = Front()
        spec = SimpleNamespace(name="f", max_body_bytes=1000, local=False)
        pool = SimpleNamespace(spec=spec, dispatcher=SimpleNamespace(refusal=None), take=take)
        front.add_function(pool, app="mine")
        port = await front.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(*headers):
            writer.write(post(b"/function/f", b"1", *headers))
            status, _, body = await asyncio.wait_for(read_answer(reader), 25)
            return status, body

        trace = b"traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"
        try:
            for more in ((), (trace,), (b"priority: u=1",)):
                for _ in range(3):  # from the second time on the head is known
                    status, body = await ask(b"skerry-app: other", *more)
                    assert (status, b"belongs to app 'mine' here, not to 'other'" in body) == (404, True)
                    assert (await ask(b"skerry-app: mine", *more))[0] == 200
                    assert (await ask(*more))[0] == 200
            front.add_function(pool, app="other")  # what the heads said is found out anew
            assert (await ask(b"skerry-app: mine"))[0] == 404
            assert (await ask(b"skerry-app: other"))[0] == 200
        finally:
            writer.close()
            await front.stop_listening()
            await front.finish(limit_s=1.0)
        assert len(taken) == 19

    run_loop(run())
