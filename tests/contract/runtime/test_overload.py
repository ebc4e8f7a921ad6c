"""More requests than can be served, on every platform."""

import select

from support.engine_process import wait_until

APP = "waiting.py"
QUEUE = 4  # of the function "narrow"
CROWD = 60


def close(clients):
    for client in clients:
        client.socket.close()


def first_answers(clients, count):
    """Return the answers of the first so many that have one, and the clients that still wait."""
    waiting = {client.socket: client for client in clients}
    answers = []
    while len(answers) < count:
        ready, _, _ = select.select(list(waiting), [], [], 20)
        assert ready, f"{len(answers)} answers of {count}"
        answers += [waiting.pop(socket).read_answer() for socket in ready]
    return answers, list(waiting.values())


def test_what_the_queue_does_not_hold_is_429_at_once_and_the_rest_is_served(platform):
    running = platform.start_call("narrow", "full")
    platform.wait_for_notes("full-runs")
    clients = [platform.start_call("narrow", "full") for _ in range(CROWD)]
    refused, waiting = first_answers(clients, CROWD - QUEUE)
    assert {(answer.status, answer.code) for answer in refused} == {(429, "queue_full")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert platform.metric("kn_revision_request_queued", "narrow") == QUEUE
    platform.release("full")
    assert [client.read_answer().status for client in (running, *waiting)] == [200] * (1 + QUEUE)
    close([running, *clients])
    platform.wait_until_idle("narrow")
    assert platform.notes("full-runs") == 1 + QUEUE
    assert platform.call("narrow", "full").status == 200


def test_places_that_deadlines_free_are_taken_by_others(platform):
    running = platform.start_call("narrow", "places")
    platform.wait_for_notes("places-runs")
    late = [platform.start_call("narrow", "places-late", ("skerry-timeout-ms", "100")) for _ in range(QUEUE)]
    assert [client.read_answer().status for client in late] == [504] * QUEUE
    waiting = [platform.start_call("narrow", "places") for _ in range(QUEUE)]
    platform.wait_for_queue("narrow", QUEUE)
    assert platform.call("narrow", "places").status == 429
    platform.release("places")
    assert [client.read_answer().status for client in (running, *waiting)] == [200] * (1 + QUEUE)
    close([running, *late, *waiting])
    assert platform.notes("places-late-runs") == 0


def test_overload_ends_in_nothing_but_answers_that_say_what_to_do_and_passes(platform):
    platform.release("storm")  # every call is quick, and there are too many
    statuses = []
    for _ in range(5):
        clients = []
        for number in range(CROWD):
            headers = [("skerry-timeout-ms", "5")] if number % 3 == 0 else []
            clients.append(platform.start_call("narrow", "storm", *headers))
        for number, client in enumerate(clients):
            if number % 7 == 0:
                client.reset()
                continue
            answer = client.read_answer()
            statuses.append(answer.status)
            if answer.status in (429, 503):
                assert int(answer.headers["retry-after"]) >= 1
        close(clients)
    assert set(statuses) <= {200, 429, 503, 504}
    assert statuses.count(200) > 0
    platform.wait_until_idle("narrow")
    with platform.connect() as client:
        assert [client.call("/function/narrow", "storm").status for _ in range(20)] == [200] * 20


def test_a_deaf_crowd_does_not_keep_others_waiting(platform):
    running = platform.start_call("narrow", "deaf")
    platform.wait_for_notes("deaf-runs")
    clients = [platform.start_call("narrow", "deaf") for _ in range(CROWD)]
    wait_until(lambda: platform.metric("skerry_requests_total", "narrow", http_response_status_code="429") > 0)
    assert platform.call("counted", "x").json() == "x"
    platform.release("deaf")
    assert running.read_answer().status == 200
    close([running, *clients])
    platform.wait_until_idle("narrow")
