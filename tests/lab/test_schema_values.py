"""The smallest value of a JSON schema, and the one drawn from a text."""

import pytest

from capability_router.lab.schema_values import drawn_value, minimal_value

PERSON = {
    "$defs": {"name": {"type": "string", "minLength": 6}},
    "type": "object",
    "properties": {
        "name": {"$ref": "#/$defs/name"},
        "friends": {"type": "array", "items": {"$ref": "#"}},
        "note": {"type": "string"},
    },
    "required": ["name", "friends"],
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "text"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "date"}, "2024-01-01"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 5}, 1),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "number", "minimum": 0.5, "maximum": 0.9}, 0.5),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": ["null", "string"]}, None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
        ({"type": "array", "prefixItems": [{"const": 1}], "minItems": 1}, [1]),
        ({"enum": ["low", "high"]}, "low"),
        ({"const": None}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
        (
            {
                "allOf": [
                    {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                    {"properties": {"b": {"type": "null"}}, "required": ["b"]},
                ]
            },
            {"a": 0, "b": None},
        ),
        (PERSON, {"name": "textxx", "friends": []}),
    ],
)
def test_value_is_the_smallest_that_fits(schema: dict[str, object], value: object) -> None:
    assert minimal_value(schema) == value


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "string", "pattern": "^a$"}, "pattern"),
        ({"type": "wonder"}, "wonder"),
        ({"$ref": "#/$defs/nobody"}, "nobody"),
        ({"$ref": "https://example.com/schema"}, "https"),
        ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "itself"),
        ({"type": "integer", "minimum": 3, "maximum": 1}, "bounds"),
        ({"type": "string", "minLength": 1_000_000}, "minLength"),
        ({"allOf": [{"$ref": "#"}]}, "itself"),
    ],
)
def test_schema_that_cannot_be_satisfied_says_why(schema: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        minimal_value(schema)


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
LEVEL = {"enum": ["low", "high"]}


def of(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (of(input=WHOLE | {"exclusiveMinimum": 0}), "value of magic(3)?", {"input": 3}),
        (of(a=WHOLE, b=WHOLE), "What is 1 + 2", {"a": 1, "b": 2}),
        (of(a=WHOLE, b={"type": "number"}), "from 2.5 to -4", {"a": -4, "b": 2.5}),
        (of(a=WHOLE | {"maximum": 5}), "9 or 3", {"a": 3}),
        (of(a=WHOLE, b=WHOLE), "3 apples", {"a": 3, "b": 0}),
        (of(a=WHOLE), f"b2b v1.2.3 {'9' * 5000}", {"a": 0}),
        (of(a=LEVEL), "not low but HIGHER", {"a": "low"}),
        (of(a=LEVEL), "HIGH, not low", {"a": "high"}),
        (of(a={"enum": [1, None]}), "1", {"a": 1}),
        (of(a=TEXT, b=TEXT), "'你好' and \"hello\"", {"a": "你好", "b": "hello"}),
        (of(a=TEXT), "it's what the dogs' and cats' owners had", {"a": "text"}),
        (of(a=TEXT), "weather in San Francisco, CA? Use it.", {"a": "San Francisco, CA"}),
        (of(a=TEXT), "the tale of a trip from Oslo to Rome.", {"a": "Rome"}),
        (of(a=TEXT, b=TEXT), "Call 'Bob' about cats", {"a": "Bob", "b": "cats"}),
        (of(a=TEXT | {"maxLength": 3}), "Call 'Robert' on Sunday", {"a": "tex"}),
        (of(a=TEXT | {"format": "date"}), "on 'Sunday'", {"a": "2024-01-01"}),
        (of(a={"type": "array", "items": TEXT}), "'one' 'two'", {"a": []}),
        (of(a={"const": "x"}, b={"type": "boolean"}), "'y' 1", {"a": "x", "b": True}),
    ],
)
def test_value_is_drawn_from_what_the_text_mentions(
    schema: dict[str, object], text: str, value: object
) -> None:
    assert drawn_value(schema, text) == value
