import pytest

from skerry.errors import NameTakenError, SpecError
from skerry.platforms.knative.rendering import render as render_knative
from skerry.platforms.kubernetes.rendering import AppToRender, FunctionToRender
from skerry.platforms.kubernetes.rendering import render as render_kubernetes
from skerry.platforms.kubernetes.validation import check, problems
from skerry.spec import ClusterSettings, Filter, FunctionSpec, Retry, Timer, Trigger
from support.rendering import IMAGE

SETTINGS = ClusterSettings(namespace="edge", broker="site")


def app(*specs):
    functions = tuple(FunctionToRender(spec=spec) for spec in specs)
    return AppToRender(name="news", image=IMAGE, target="app.py:app", functions=functions)


def started(*specs):
    """Return what starts functions, by kind and name, once it has been found valid."""
    objects = render_knative(app(*specs), SETTINGS)
    check(objects)
    return {(made["kind"], made["metadata"]["name"]): made for made in objects if made["kind"] in WANTED}


WANTED = ("Trigger", "PingSource")


def test_a_trigger_becomes_a_trigger_at_the_broker_of_the_platform():
    retry = Retry(attempts=3, backoff="linear", delay="1500ms")
    spec = FunctionSpec(name="de_tect", triggers=(Trigger(filter=Filter.exact(type="x"), retry=retry),))
    trigger = started(spec)["Trigger", "de-tect"]
    assert trigger["metadata"]["namespace"] == "edge"
    assert trigger["metadata"]["labels"]["app.kubernetes.io/part-of"] == "news"
    assert trigger["spec"] == {
        "broker": "site",
        "filter": {"attributes": {"type": "x"}},
        "subscriber": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "de-tect"}},
        "delivery": {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT1.5S"},
    }


def test_dead_letters_go_to_a_function_and_to_no_type():
    retry = Retry(dead_letter_sink="/function/re_port")
    found = started(FunctionSpec(name="f", triggers=(Trigger(retry=retry),)), FunctionSpec(name="re_port"))
    assert found["Trigger", "f"]["spec"]["delivery"]["deadLetterSink"] == {
        "ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "re-port"}
    }
    with pytest.raises(SpecError, match="Knative does not honour the type of an event"):
        started(FunctionSpec(name="f", triggers=(Trigger(retry=Retry(dead_letter_sink="door.dead")),)))


def test_filters_that_are_more_than_equal_attributes_are_told_in_the_dialects_of_knative():
    wanted = Filter.prefix(type="net.") & ~Filter.suffix(source="/lab") | Filter.exact(subject="all")
    found = started(FunctionSpec(name="f", triggers=(Trigger(filter=wanted), Trigger())))
    dialects = {
        "any": [
            {"all": [{"prefix": {"type": "net."}}, {"not": {"suffix": {"source": "/lab"}}}]},
            {"exact": {"subject": "all"}},
        ]
    }
    assert found["Trigger", "f"]["spec"]["filters"] == [dialects]
    assert not {"filter", "filters"} & found["Trigger", "f-2"]["spec"].keys()


@pytest.mark.parametrize(
    ("timer", "schedule", "zone"),
    [
        (Timer(cron="0 3 * * *", zone="Europe/Oslo"), "0 3 * * *", "Europe/Oslo"),
        (Timer(every="60s"), "*/1 * * * *", "UTC"),
        (Timer(every="15m"), "*/15 * * * *", "UTC"),
        (Timer(every="1h"), "0 * * * *", "UTC"),
        (Timer(every="6h"), "0 */6 * * *", "UTC"),
        (Timer(every="1d"), "0 0 * * *", "UTC"),
    ],
)
def test_a_timer_becomes_a_ping_source(timer, schedule, zone):
    source = started(FunctionSpec(name="tidy", timers=(timer,)))["PingSource", "tidy"]["spec"]
    assert (source["schedule"], source["timezone"]) == (schedule, zone)
    assert source["sink"]["ref"]["name"] == "tidy"


@pytest.mark.parametrize("every", ["30s", "90s", "7m", "5h", "2d"])
def test_a_period_that_cron_cannot_say_is_refused(every):
    with pytest.raises(SpecError, match=f"every {every}.*whole minutes"):
        started(FunctionSpec(name="f", timers=(Timer(every=every),)))


@pytest.mark.parametrize("key", ["deadline", "max_delay", "jitter"])
def test_what_knative_does_not_know_of_a_retry_is_refused_by_name(key):
    retry = Retry(**{key: 0.5 if key == "jitter" else "1h"})
    with pytest.raises(SpecError, match=f"has {key}, and Knative does not honour it"):
        started(FunctionSpec(name="f", triggers=(Trigger(retry=retry),)))
    with pytest.raises(SpecError, match="does not honour the retry of a timer"):
        started(FunctionSpec(name="f", timers=(Timer(every="1m", retry=retry),)))


def test_two_triggers_that_would_be_one_object_are_refused():
    with pytest.raises(NameTakenError, match="Trigger 'f-2'"):
        started(
            FunctionSpec(name="f", triggers=(Trigger(), Trigger())), FunctionSpec(name="f-2", triggers=(Trigger(),))
        )


@pytest.mark.parametrize("start", [{"triggers": (Trigger(),)}, {"timers": (Timer(every="1m"),)}])
def test_plain_kubernetes_refuses_what_it_has_nothing_for_by_name(start):
    with pytest.raises(SpecError, match=f"kubernetes does not honour {next(iter(start))}"):
        render_kubernetes(app(FunctionSpec(name="f", **start)), SETTINGS)


def test_a_filter_that_is_none_is_seen_by_the_schema():
    (trigger,) = started(FunctionSpec(name="f", triggers=(Trigger(filter=~Filter.exact(type="x")),))).values()
    trigger["spec"]["filters"][0]["cesql"] = "true"
    assert list(problems([trigger]))
