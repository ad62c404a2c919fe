"""The smallest value of a JSON schema."""

import pytest

from capability_router.lab.schema_values import minimal_value

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
