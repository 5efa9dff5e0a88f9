"""JSON Schema -> what is wrong with a value, exactly as upstream's validator (npm's `jsonschema`) words and orders it."""

from greenroom_scaffolder.schemas.problems import Problem, SchemaError, TooMuchError
from greenroom_scaffolder.schemas.validator import CompiledSchema, compile_schema, validate

__all__ = ["CompiledSchema", "Problem", "SchemaError", "TooMuchError", "compile_schema", "validate"]
