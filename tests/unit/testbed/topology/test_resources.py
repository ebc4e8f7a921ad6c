from skerry.testbed.topology.resources import Resources, confine_words


def test_a_command_is_put_into_groups_processors_and_a_namespace():
    resources = Resources(groups=("/cg/cpu/x", "/cg/memory/x"), processors=(0, 2))

    words = confine_words("sk-1-edge", resources, ["A=b"])

    assert words[4:6] == ["/cg/cpu/x/cgroup.procs", "/cg/memory/x/cgroup.procs"]
    expected = "-- env A=b taskset --cpu-list 0,2 nsenter --net=/run/netns/sk-1-edge --"
    assert " ".join(words[6:]) == expected


def test_without_limits_only_the_namespace_is_entered():
    words = confine_words("sk-1-me", Resources(), [])

    assert words[3:] == ["sh", "--", "nsenter", "--net=/run/netns/sk-1-me", "--"]
