"""What the workflows of .github/ and the action need beside labkit itself. Each is a target of the Makefile.

    ci.py matrix     the platforms, for a job's matrix
    ci.py summary    the reports of the runs under runs/, and what became of its sweeps
    ci.py action     one `labkit failover` as the variables FAULT, TRIALS, ASSERT and LABKIT_PLATFORM ask for; with
                     ALLOW_UNKNOWN=true it is no failure that a check could not be judged

Where GitHub names a file for it, that gets what is told (GITHUB_OUTPUT, GITHUB_STEP_SUMMARY), and else the terminal.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from labkit.cli.common import EXIT
from labkit.platforms import discover
from labkit.store import RunFolder, runs

LABKIT = Path(sys.executable).with_name("labkit")


def tell(where: str, text: str) -> None:
    """Adds a text to the file that a variable names."""
    file = os.environ.get(where)
    if file:
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(f"{text}\n")
    else:
        print(text)


def report(folder: RunFolder) -> str:
    """A run's report, or what there is to say of one that was never judged."""
    path = folder.path / "report.md"
    return path.read_text(encoding="utf-8") if path.exists() else f"{folder.path} was cut short"


def summary() -> int:
    found = [report(folder) for folder in runs(Path("runs"))]
    found += [path.read_text(encoding="utf-8") for path in sorted(Path("runs").glob("*-sweep-*/regression.md"))]
    tell("GITHUB_STEP_SUMMARY", "\n\n".join(found) or "No runs.")
    return 0


def failover(environment: Mapping[str, str]) -> list[str]:
    """The command that the action's inputs ask for; assertions are one a line."""
    asserted = [line.strip() for line in environment.get("ASSERT", "").splitlines() if line.strip()]
    return [
        "failover",
        f"--fault={environment.get('FAULT') or 'apache-stop'}",
        f"--trials={environment.get('TRIALS') or '1'}",
        *(f"--assert={text}" for text in asserted),
        "--subnet=auto", "--ports=auto", "--json",
    ]  # fmt: skip


def action() -> int:
    """Ends with labkit's own exit code, and first tells of the run, whatever became of it."""
    done = subprocess.run([LABKIT, *failover(os.environ)], stdout=subprocess.PIPE, text=True, check=False)
    if done.stdout:
        result = json.loads(done.stdout)
        median = result["summary"]["outage_ms"]["median"]
        tell("GITHUB_OUTPUT", f"run={result['run']}")
        tell("GITHUB_OUTPUT", f"outage-median={'' if median is None else median}")
        tell("GITHUB_STEP_SUMMARY", report(RunFolder(Path(result["run"]))))
    unknown = done.returncode == EXIT["unknown"]
    return 0 if unknown and os.environ.get("ALLOW_UNKNOWN") == "true" else done.returncode


def matrix() -> int:
    tell("GITHUB_OUTPUT", f"platforms={json.dumps(list(discover()))}")
    return 0


if __name__ == "__main__":
    tasks = {"matrix": matrix, "summary": summary, "action": action}
    if len(sys.argv) != 2 or sys.argv[1] not in tasks:
        print(__doc__, file=sys.stderr)
        sys.exit(3)
    sys.exit(tasks[sys.argv[1]]())
