"""Conditions of a status, as Knative keeps them."""

import datetime

TRUE = ("True", None, None)


def unknown(reason=None, message=None):
    return ("Unknown", reason, message)


def false(reason, message):
    return ("False", reason, message)


def merge(before, found, *, dependents):
    """Return the conditions of a status: sorted, with ``Ready`` drawn from those it depends on.

    Args:
        before: The conditions of the old status; a time is kept where nothing changed.
        found: Status, reason and message by the condition's type.
        dependents: Types that ``Ready`` depends on; where there are none, ``found`` holds it.
    """
    found = dict(found)
    if dependents:
        states = [found[name] for name in dependents]
        worst = [state for state in states if state[0] == "False"] or [
            state for state in states if state[0] == "Unknown"
        ]
        found["Ready"] = worst[0] if worst else TRUE
    known = {condition["type"]: condition for condition in before or []}
    return [_condition(name, state, known.get(name)) for name, state in sorted(found.items())]


def _condition(name, state, before):
    status, reason, message = state
    new = {"type": name, "status": status}
    new |= {"reason": reason} if reason else {}
    new |= {"message": message} if message else {}
    if before is not None and {key: value for key, value in before.items() if key != "lastTransitionTime"} == new:
        return before
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**new, "lastTransitionTime": now}


def state_of(item, name="Ready"):
    """Return status, reason and message of one condition of an object."""
    for condition in item.get("status", {}).get("conditions") or []:
        if condition["type"] == name:
            return (condition["status"], condition.get("reason"), condition.get("message"))
    return unknown()


def is_ready(item):
    return state_of(item)[0] == "True"
