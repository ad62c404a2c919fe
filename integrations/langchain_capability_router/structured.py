"""Answers as objects: what to ask for, and how to read what comes back.

Knows no model: the format is neutral, and each model gets it in its own form when it is asked.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import (
    BaseCumulativeTransformOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.runnables import (
    Runnable,
    RunnableLambda,
    RunnableMap,
    RunnablePassthrough,
)
from langchain_core.utils.function_calling import (
    convert_to_json_schema,
    convert_to_openai_function,
    convert_to_openai_tool,
)
from langchain_core.utils.pydantic import is_basemodel_subclass

__all__ = ["Method", "structured"]

Method = Literal["function_calling", "json_schema", "json_mode"]

Schema = dict[str, Any] | type


def structured(
    chat: BaseChatModel,
    schema: Schema,
    *,
    method: Method,
    strict: bool | None,
    include_raw: bool,
    options: dict[str, Any],
) -> Runnable[LanguageModelInput, Any]:
    """Return a runnable that answers with an object of a schema.

    Args:
        chat: The chat model to ask.
        schema: Pydantic class, ``TypedDict``, or JSON schema with a title.
        method: How a model is told of the schema.
        strict: True if the answer must match the schema exactly; None leaves it to the model.
        include_raw: True for a dictionary of ``raw``, ``parsed`` and ``parsing_error``.
        options: Further parameters of the call.

    Raises:
        ValueError: If there is no such method, or it cannot be strict.
    """
    llm = _asking(chat, schema, method, strict, options)
    parser = _parser(schema, method)
    if not include_raw:
        return llm | parser
    raw: RunnableLambda[dict[str, AIMessage], AIMessage] = RunnableLambda(itemgetter("raw"))
    told = RunnablePassthrough.assign(parsed=raw | parser, parsing_error=_nothing)
    failed = RunnablePassthrough.assign(parsed=_nothing)
    return RunnableMap(raw=llm) | told.with_fallbacks([failed], exception_key="parsing_error")


def _asking(
    chat: BaseChatModel,
    schema: Schema,
    method: str,
    strict: bool | None,
    options: dict[str, Any],
) -> Runnable[LanguageModelInput, AIMessage]:
    traced = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
    options = {**options, "ls_structured_output_format": traced}
    match method:
        case "function_calling":
            tool = convert_to_openai_tool(schema)["function"]["name"]
            return chat.bind_tools([schema], tool_choice=tool, strict=strict, **options)
        case "json_schema":
            return chat.bind(response_format=_response_format(schema, strict), **options)
        case "json_mode":
            if strict is not None:
                raise ValueError("strict has no meaning with method='json_mode': leave it out")
            # With the schema for those who have none but by a schema; OpenAI is not told of it.
            wanted = {"type": "json_object", "schema": convert_to_json_schema(schema)}
            return chat.bind(response_format=wanted, **options)
        case unknown:
            known = "'function_calling', 'json_schema' or 'json_mode'"
            raise ValueError(f"method {unknown!r} must be {known}")


def _response_format(schema: Schema, strict: bool | None) -> dict[str, Any]:
    function = convert_to_openai_function(schema, strict=strict)
    function["schema"] = function.pop("parameters", {"type": "object", "properties": {}})
    return {"type": "json_schema", "json_schema": function}


def _nothing(_: object) -> None:
    return None


def _parser(schema: Schema, method: Method) -> BaseCumulativeTransformOutputParser[Any]:
    cls: Any = schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
    if method != "function_calling":
        return PydanticOutputParser[Any](pydantic_object=cls) if cls else JsonOutputParser()
    if cls:
        return PydanticToolsParser(tools=[cls], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)
