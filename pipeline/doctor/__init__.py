"""Is everything there that posting needs, and what will fail when? For `doctor` and `check --online`.

`findings` holds the grades, `machine` and `running` look around here, `channels` asks the networks and
`verdicts` says what follows.
"""

from pipeline.doctor.channels import Facts, gather
from pipeline.doctor.findings import Finding, Grade, broken, exit_status
from pipeline.doctor.report import Report, content_finding, ledger_is_sound, look_around
from pipeline.doctor.verdicts import findings, problems

__all__ = [
    "Facts",
    "Finding",
    "Grade",
    "Report",
    "broken",
    "content_finding",
    "exit_status",
    "findings",
    "gather",
    "ledger_is_sound",
    "look_around",
    "problems",
]
