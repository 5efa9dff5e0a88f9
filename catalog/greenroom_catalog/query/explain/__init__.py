"""Why an entity is there, missing, stale, orphaned, in conflict or failed: ref -> Explanation."""

from __future__ import annotations

from greenroom_catalog.query.explain.case import Setup
from greenroom_catalog.query.explain.explainer import Explainer, Sight
from greenroom_catalog.query.explain.failures import FAILURES, Failure, classify
from greenroom_catalog.query.explain.story import Claim, Explanation, Finding, Step

__all__ = ["FAILURES", "Claim", "Explainer", "Explanation", "Failure", "Finding", "Setup", "Sight", "Step", "classify"]
