"""`${{ }}` -> value, bounded: the expression language of templates."""

from greenroom_scaffolder.templating.engine import Engine
from greenroom_scaffolder.templating.limits import Limits, TemplateError
from greenroom_scaffolder.templating.values import UNDEFINED, Undefined, sees_undefined

__all__ = ["UNDEFINED", "Engine", "Limits", "TemplateError", "Undefined", "sees_undefined"]
