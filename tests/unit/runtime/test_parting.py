"""Connections of a server that is about to end: the next answer says so, and nothing is reset under a client."""

from support.echo_service import post, read_answer, serving


def test_the_next_answer_is_the_last_one_on_a_connection_whose_requests_are_known(run_loop):
    async def run():
        async with serving() as (service, reader, writer):
            for _ in range(3):  # from the second time on the head is known
                writer.write(post(b"/function/f", b"1"))
                assert "connection" not in (await read_answer(reader))[1]
            [connection] = service.connections
            connection.part()
            writer.write(post(b"/function/f", b"1"))
            status, headers, _ = await read_answer(reader)
            writer.write(post(b"/function/f", b"2"))  # too late: read, not answered, and not reset
            await writer.drain()
            return status, headers["connection"], await reader.read(), len(service.exchanges)

    assert run_loop(run()) == (200, "close", b"", 4)


def test_what_waits_is_answered_and_what_comes_behind_it_is_not_begun(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + post(b"/b"))
            await service.until(lambda: len(service.exchanges) == 2)
            [connection] = service.connections
            connection.part()
            service.answer(service.exchanges[1])
            connection.data_received(post(b"/c"))
            service.answer(service.exchanges[0])
            answers = [await read_answer(reader) for _ in range(2)]
            told = [headers.get("connection") for _, headers, _ in answers]
            return told, await reader.read(), len(service.exchanges)

    assert run_loop(run()) == ([None, "close"], b"", 2)


def test_an_answer_that_has_begun_without_saying_so_is_followed_by_one_that_does(run_loop):
    async def run():
        async with serving(at_once=False) as (service, reader, writer):
            writer.write(post(b"/a") + post(b"/b"))
            await service.until(lambda: len(service.exchanges) == 2)
            service.answer(service.exchanges[1])  # it is kept until the first one has its answer
            [connection] = service.connections
            connection.part()
            service.answer(service.exchanges[0])
            told = [(await read_answer(reader))[1].get("connection") for _ in range(2)]
            writer.write(post(b"/c"))
            await service.until(lambda: len(service.exchanges) == 3)
            service.answer(service.exchanges[2])
            told.append((await read_answer(reader))[1].get("connection"))
            return told, await reader.read()

    assert run_loop(run()) == ([None, None, "close"], b"")
