"""Template entity -> TaskSpec, its form, and what is wrong with either; pure."""

from greenroom_scaffolder.templates.options import Retry, StepOptions, check_options, step_options
from greenroom_scaffolder.templates.parameters import check_secrets, check_values, parameter_schema
from greenroom_scaffolder.templates.shape import TemplateShapeError, check_template
from greenroom_scaffolder.templates.template import (
    DRY_RUN_REF,
    TaskSpec,
    Template,
    numbered_steps,
    read_template,
    tags_of,
    task_spec,
)
from greenroom_scaffolder.templates.wish import examine

__all__ = [
    "DRY_RUN_REF",
    "Retry",
    "StepOptions",
    "TaskSpec",
    "Template",
    "TemplateShapeError",
    "check_options",
    "check_secrets",
    "check_template",
    "check_values",
    "examine",
    "numbered_steps",
    "parameter_schema",
    "read_template",
    "step_options",
    "tags_of",
    "task_spec",
]
