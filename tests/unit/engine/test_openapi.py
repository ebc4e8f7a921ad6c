from collections.abc import Iterator

from pydantic import BaseModel

from skerry.engine.openapi import COMPONENTS, Described, openapi_document
from skerry.payload import Signature


class Item(BaseModel):
    name: str


class Order(BaseModel):
    items: list[Item]
    gift: Item | None = None


def order(order: Order, urgent: bool = False) -> Order: ...


def count(last: int) -> Iterator[int]: ...


def described(handler, name):
    return Described(name=name, app="shop", schema=Signature.of(handler).schema())


def references(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_to_a_component_and_two_functions_do_not_share_any():
    document = openapi_document([described(order, "order"), described(order, "again")])

    found = set(references(document))
    assert {reference.removeprefix(COMPONENTS) for reference in found} <= set(document["components"]["schemas"])
    assert f"{COMPONENTS}order.input.Item" in found
    assert f"{COMPONENTS}again.output.Item" in found
    assert "$defs" not in str(document)


def test_a_generator_answers_lines():
    said = openapi_document([described(count, "count")])["paths"]["/function/count"]["post"]

    assert said["operationId"] == "count"
    assert said["responses"]["200"]["content"] == {"application/x-ndjson": {"schema": {"type": "integer"}}}


def test_a_function_whose_schema_is_not_known_takes_and_returns_anything():
    said = openapi_document([Described(name="any", app="shop", schema={})])["paths"]["/function/any"]["post"]

    assert said["requestBody"]["content"]["application/json"]["schema"] == {}
