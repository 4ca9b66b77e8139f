"""The folder a rehearsal writes into: empty at its beginning, and never one that holds anything else.

What an earlier rehearsal left would be taken for posts that are out already, and shown in place of what
the files say now.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.errors import WrongUse

MARK = ".pipeline-rehearsal"  # its presence says that everything in the folder is a rehearsal's


def prepare(folder: Path) -> None:
    """Make the folder, or empty the one an earlier rehearsal wrote.

    Raises WrongUse, and deletes nothing, when it holds anything else; OSError when it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.iterdir())
    if found and not (folder / MARK).is_file():
        raise WrongUse(
            f"{folder} is not empty, and no rehearsal wrote it", hint="Name a new folder with --out."
        )
    (folder / MARK).touch()
    for path in found:
        if path.name == MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
