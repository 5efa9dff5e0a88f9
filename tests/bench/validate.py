"""How quick `greenroom catalog validate` is: `python -m tests.bench.validate [--runs 30] [--files 500] [--json FILE]`.

Whole processes, from the start of the interpreter to its end, with bytecode in place as after an ordinary installation. Beside
the time of one file, what the interpreter alone needs, so that machines can be compared; then many files in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MILLISECONDS = 150.0
"""For one file, the whole process, in the median."""

DOCUMENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: component-{number}
  description: Takes orders, and passes them on
  annotations: {{github.com/project-slug: acme/component-{number}, backstage.io/techdocs-ref: dir:.}}
  tags: [java, spring]
  links:
  - {{url: https://example.com/{number}, title: Dashboard}}
spec:
  type: service
  lifecycle: production
  owner: group:default/team-{number}
  system: shop
  dependsOn: [resource:orders-db, component:component-1]
"""


def measure(runs: int, program: Sequence[str], environ: dict[str, str]) -> list[float]:
    """Milliseconds of each run, in ascending order."""
    found = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *program], env=environ, check=True, capture_output=True)
        found.append((time.perf_counter() - begun) * 1000)
    return sorted(found)


def main() -> None:
    """Measure, print, and fail if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        one = folder / "catalog-info.yaml"
        one.write_text(DOCUMENT.format(number=1))
        many = folder / "many"
        for number in range(arguments.files):
            (many / str(number)).mkdir(parents=True)
            (many / str(number) / "catalog-info.yaml").write_text(DOCUMENT.format(number=number))
        check = ("-m", "greenroom", "catalog", "validate")
        measure(2, [*check, str(one)], environ)
        bare = measure(arguments.runs, ["-c", "pass"], environ)
        single = measure(arguments.runs, [*check, str(one)], environ)
        folderful = measure(3, [*check, str(many)], environ)
    median = statistics.median(single)
    result = {
        "interpreter_ms": round(statistics.median(bare), 1),
        "one_file_ms": round(median, 1),
        "one_file_p90_ms": round(single[int(len(single) * 0.9)], 1),
        "one_file_times_interpreter": round(median / statistics.median(bare), 1),
        "each_of_many_ms": round((statistics.median(folderful) - median) / max(1, arguments.files - 1), 2),
    }
    for what, value in result.items():
        print(f"{what:28} {value}")  # noqa: T201
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result))
    if median > MILLISECONDS:
        sys.exit(f"one file took {median:.0f} ms, and not {MILLISECONDS:.0f}")


if __name__ == "__main__":
    main()
