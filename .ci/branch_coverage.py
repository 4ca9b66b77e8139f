"""Fails when a guarded module's branch coverage is under the floor.

`coverage report --fail-under` mixes lines and branches and averages over all files; a promise that hangs on
one branch of one module must not hide behind the lines of another. A pattern that matches nothing measured
fails as well, so that a renamed module cannot slip out of the guard.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path


def measured() -> dict[str, dict[str, int]]:
    """The summary of every measured file, by its path from the project's folder."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(target)]
        subprocess.run(command, check=True)  # noqa: S603 (no word of it comes from outside)
        files = json.loads(target.read_text())["files"]
    return {path: data["summary"] for path, data in files.items()}


def share(summary: dict[str, int]) -> float:
    """Covered branches in percent; lines where a file has no branch at all."""
    if summary["num_branches"]:
        return 100 * summary["covered_branches"] / summary["num_branches"]
    if summary["num_statements"]:
        return 100 * summary["covered_lines"] / summary["num_statements"]
    return 100.0


def main() -> int:
    """Print one line per guarded file; 1 when one of them is under the floor or missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--floor", type=float, required=True, help="percent")
    parser.add_argument("patterns", nargs="+", help="paths or globs of guarded modules")
    options = parser.parse_args()
    files = measured()
    failures = 0
    for pattern in options.patterns:
        matching = sorted(path for path in files if fnmatch(path, pattern))
        if not matching:
            print(f"{pattern}: no measured file matches; correct the pattern or the tests")
            failures += 1
        for path in matching:
            percent = share(files[path])
            verdict = "ok" if percent >= options.floor else f"UNDER {options.floor:g} %"
            print(f"{path}: {percent:.1f} % of branches, {verdict}")
            failures += percent < options.floor
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
