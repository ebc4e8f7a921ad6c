from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.testbed.links import Conditions, LinkConditions
from skerry.testbed.topology import Node, PlannedLink, Topology
from skerry.testbed.topology.addressing import make_plan
from skerry.testbed.topology.network import route_lines
from skerry.testbed.topology.routing import next_hops, shortest_path


def both(forward_ms, backward_ms=None):
    back_ms = forward_ms if backward_ms is None else backward_ms
    return LinkConditions(forward=Conditions(delay_ms=forward_ms), backward=Conditions(delay_ms=back_ms))


def topology(*links):
    names = sorted({name for a, b, *_ in links for name in (a, b)})
    nodes = {name: Node(name=name, role="client" if name == names[0] else "site") for name in names}
    return Topology(
        name="t",
        nodes=nodes,
        links=tuple(PlannedLink(a=a, b=b, conditions=both(*delays)) for a, b, *delays in links),
    )


@st.composite
def topologies(draw):
    count = draw(st.integers(2, 8))
    links = {(f"n{draw(st.integers(0, n - 1))}", f"n{n}") for n in range(1, count)}
    for _ in range(draw(st.integers(0, 6))):
        a, b = sorted(draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=2, unique=True)))
        links.add((f"n{a}", f"n{b}"))
    delay = st.integers(0, 20).map(float)
    return topology(*[(a, b, draw(delay), draw(delay)) for a, b in sorted(links)])


def walk(hops, start, end):
    path = [start]
    while path[-1] != end:
        path.append(hops[path[-1]][end])
        assert len(path) <= len(hops), "packets go in a circle"
    return path


@settings(deadline=None, max_examples=80)
@given(topologies())
def test_packets_arrive_by_a_path_of_least_delay(given_topology):
    hops = next_hops(given_topology)
    delays = {}
    for link in given_topology.links:
        delays[link.a, link.b] = link.conditions.forward.delay_ms
        delays[link.b, link.a] = link.conditions.backward.delay_ms
    least = {(a, b): 0.0 if a == b else delays.get((a, b), 1e9) for a in hops for b in hops}
    for over in hops:
        for a in hops:
            for b in hops:
                least[a, b] = min(least[a, b], least[a, over] + least[over, b])

    for start in hops:
        for end in hops:
            path = walk(hops, start, end)
            assert sum(delays[pair] for pair in pairwise(path)) == least[start, end]


def test_each_direction_takes_its_own_path():
    asymmetric = topology(("a", "b", 1, 50), ("b", "c", 1, 50), ("a", "c", 10, 10))

    assert shortest_path(asymmetric, "a", "c") == ["a", "b", "c"]
    assert shortest_path(asymmetric, "c", "a") == ["c", "a"]


def test_of_equal_paths_the_one_with_fewest_links_is_taken():
    assert shortest_path(topology(("a", "b", 1), ("b", "c", 1), ("a", "c", 2)), "a", "c") == ["a", "c"]


def test_routes_lead_over_neighbours():
    plan = make_plan(topology(("a", "b", 1), ("b", "c", 1)), "sk-000000")

    lines = route_lines(topology(("a", "b", 1), ("b", "c", 1)), plan)

    assert lines["a"] == [
        "route add 10.77.0.2/32 via 10.78.0.2 dev to-b src 10.77.0.1",
        "route add 10.77.0.3/32 via 10.78.0.2 dev to-b src 10.77.0.1",
    ]


def test_interfaces_have_short_names_of_their_own():
    long = "a-place-with-a-very-long-name"
    plan = make_plan(topology(("a", f"{long}-1", 1), ("a", f"{long}-2", 1)), "sk-000000")

    interfaces = [end.interface for pair in plan.ends for end in pair if end.namespace == "sk-000000-a"]

    assert interfaces == ["to-a-place-with", "link-1"]
    assert len({end.address for pair in plan.ends for end in pair}) == 4
