"""Read the parameters that the body of a request holds."""

from __future__ import annotations

import email.message
from collections.abc import Awaitable, Callable
from typing import Any, get_args

from pallasite._fastapi.fields import Errors, Values, absent_value, is_plain, validator
from pallasite._fastapi.theirs import Undefined, params, utils
from pallasite.datastructures import FormData

__all__ = ["BodyReader", "body_reader", "is_json"]

# Adds the parameters in a body, which has been read, to the values, or what is wrong with them to the errors.
BodyReader = Callable[[Any, Values, Errors], Awaitable[None]]
# Does the same for one parameter of a form, or of a JSON object.
_PartReader = Callable[[Any, Values, Errors], None]

# The spellings that nearly every client sends. Others are parsed.
_JSON = frozenset(("application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"))


def is_json(content_type: str) -> bool:
    """Return True if a Content-Type is JSON to FastAPI: `application/json` or `application/...+json`."""
    if content_type in _JSON:
        return True
    message = email.message.Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "application":
        return False
    subtype = message.get_content_subtype()
    return subtype == "json" or subtype.endswith("+json")


def body_reader(fields: list[Any], embed_body_fields: bool) -> BodyReader | None:
    """Return the reader of a node's body parameters. None if it has none."""
    if not fields:
        return None

    async def as_fastapi_reads(body: Any, values: Values, errors: Errors) -> None:
        found, wrong = await utils.request_body_to_args(
            body_fields=fields, received_body=body, embed_body_fields=embed_body_fields
        )
        values.update(found)
        errors += wrong

    first = fields[0]
    if any(utils._get_form_models(field) for field in fields):
        return _model_reader(fields) or as_fastapi_reads
    if len(fields) == 1 and not embed_body_fields and not utils._should_embed_body_fields(fields):
        return _whole_reader(first, as_fastapi_reads)
    if all(map(_is_plain_part, fields)):
        return _parts_reader(fields, as_fastapi_reads)
    return as_fastapi_reads


def _whole_reader(field: Any, otherwise: BodyReader) -> BodyReader:
    """Return the reader of a body that is one parameter."""
    name, validate = field.name, validator(field, ("body",))

    async def read(body: Any, values: Values, errors: Errors) -> None:
        if body is Undefined or isinstance(body, FormData):
            await otherwise(body, values, errors)
        else:
            values[name] = validate(body, errors)

    return read


def _parts_reader(fields: list[Any], otherwise: BodyReader) -> BodyReader:
    """Return the reader of a form or a JSON object that has a parameter for each of its fields or keys."""
    in_form = [_part_reader(field, _from_form) for field in fields]
    in_object = [_part_reader(field, _from_object) for field in fields]

    async def read(body: Any, values: Values, errors: Errors) -> None:
        readers = in_form if isinstance(body, FormData) else in_object if type(body) is dict else None
        if readers is None:
            await otherwise(body, values, errors)
        else:
            for read_part in readers:
                read_part(body, values, errors)

    return read


def _model_reader(fields: list[Any]) -> BodyReader | None:
    """Return the reader of a form that is one model. None if it is more than that."""
    field = fields[0]
    model = utils._get_form_model(field)
    if len(fields) > 1 or model is None or type(None) in get_args(field.field_info.annotation):
        return None
    parts = utils.get_cached_model_fields(model)
    if not all(is_plain(part) and not isinstance(part.field_info, params.File) for part in parts):
        return None
    aliases = [utils._get_param_aliases(part)[0][0] for part in parts]
    look_ups = [(alias, _from_form(part, alias)) for part, alias in zip(parts, aliases, strict=True)]
    known, name, validate = set(aliases), field.name, validator(field, ("body",))

    async def read(body: Any, values: Values, errors: Errors) -> None:
        document = {alias: value for alias, get in look_ups if (value := get(body)) is not Undefined}
        others: dict[str, list[Any]] = {}
        for key, value in body.multi_items():
            if key not in known:
                others.setdefault(key, []).append(value)
        # The model decides what to do with other fields.
        document.update((key, sent[0] if len(sent) == 1 else sent) for key, sent in others.items())
        count = len(errors)
        value = validate(document, errors)
        if len(errors) == count:
            values[name] = value

    return read


def _is_plain_part(field: Any) -> bool:
    # A file whose content is wanted has to be read.
    annotation = field.field_info.annotation
    return (
        isinstance(field.field_info, params.Body)
        and is_plain(field)
        and not utils.is_bytes_or_nonable_bytes_annotation(annotation)
        and not utils.is_bytes_sequence_annotation(annotation)
    )


def _part_reader(field: Any, look_up: Callable[[Any, Any], Callable[[Any], Any]]) -> _PartReader:
    ((_, alias),) = utils._get_param_aliases(field)
    name, loc = field.name, ("body", alias)
    get, validate, absent = look_up(field, alias), validator(field, loc), absent_value(field, loc)

    def read(body: Any, values: Values, errors: Errors) -> None:
        value = get(body)
        count = len(errors)
        value = absent(errors) if value is Undefined else validate(value, errors)
        if len(errors) == count:
            values[name] = value

    return read


def _from_object(field: Any, alias: str) -> Callable[[Any], Any]:
    return lambda document: document.get(alias, Undefined)


def _from_form(field: Any, alias: str) -> Callable[[Any], Any]:
    """Return the look-up in a form. A field that was sent empty, and a file that was not chosen, are absent."""
    if utils.field_annotation_is_sequence(field.field_info.annotation):
        return lambda form: utils._get_multidict_value(field, form, alias)

    def get(form: FormData) -> Any:
        value = form.get(alias)
        if value is None or value == "" or utils._is_empty_file_input(value):
            return Undefined
        return value

    return get
