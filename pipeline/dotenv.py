"""Writing `.env`: some variables get new values, and everything else in the file stays as it is.

What must stay true: the file is replaced as a whole and then for its owner's eyes only; every other line,
comment and order is kept; and what is written reads back exactly, the other variables included, or nothing
is written. Reading it for use is the business of `credentials` and `settings`.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline import atomic
from pipeline.errors import BrokenEnvironment, WrongUse

NAME = ".env"
OWNER_ONLY = 0o600
_PLAIN = re.compile(r"[A-Za-z0-9_./:+=@%,~-]+")  # means the same to every reader, shells included
_ASSIGNMENT = re.compile(r"\s*(?:export[^\S\r\n]+)?(?:'[^']+'|[^=#\s]+)[^\S\r\n]*=[^\S\r\n]*")
_GIT_PATIENCE = 10.0  # seconds

_Read = dict[str, str | None]


def write(root: Path, values: Mapping[str, str]) -> bool:
    """Give these variables these values in the `.env` of the project at `root`. True if the file changed.

    Raises WrongUse for a value that no line can hold, BrokenEnvironment when the file as it is cannot be
    understood, OSError when it cannot be written. Of each, the file is as it was.
    """
    for name, value in values.items():
        if not value or any(sign in value for sign in "\r\n\0") or not _encodable(value):
            raise WrongUse(
                f"the value of {name} is empty, or holds a line break or what else {NAME} cannot keep",
                hint=f"Put it into a file of its own and name that file in {name}_FILE.",
            )
    path = (root / NAME).resolve()  # a link to a file elsewhere stays a link
    with _alone(path.parent):
        old = _text(path)
        new = rewritten(old, values)
        _refuse_misread(path, old, new, values)
        return _replace(path, new)


def rewritten(text: str, values: Mapping[str, str]) -> str:
    """The text of a `.env` with these values: in the place of the old ones, new ones at its end."""
    from dotenv.parser import parse_stream  # noqa: PLC0415  # only who writes secrets needs it

    bindings = list(parse_stream(io.StringIO(text)))
    counts = {one.key: place for place, one in enumerate(bindings)}  # of several, the last one counts
    lines = []
    for place, one in enumerate(bindings):
        if one.key is None or one.key not in values:
            lines.append(one.original.string)
        elif counts[one.key] == place:
            lines.append(_reassigned(one.original.string, one.key, values[one.key]))
        else:
            lines.append(_blank_lines(one.original.string))  # an old secret is not left standing
    known = "".join(lines)
    end = "" if not known or known.endswith("\n") else "\n"
    added = [f"{name}={_spelt(value)}\n" for name, value in values.items() if name not in counts]
    return known + (end if added else "") + "".join(added)


def mode_problem(root: Path) -> str | None:
    """Who else may read `.env`, in words; None when nobody may, or when there is none."""
    try:
        mode = stat.S_IMODE((root / NAME).stat().st_mode)
    except FileNotFoundError:
        return None
    if not mode & 0o077:
        return None
    return f"{NAME} may be read by others (mode {mode:04o}); run `chmod 600 {root / NAME}`"


def git_problem(root: Path) -> str | None:
    """Whether git has `.env`, or would take it, in words; None when all is well, or git is not used here."""
    if _git(root, "rev-parse", "--is-inside-work-tree") != 0:
        return None
    if _git(root, "ls-files", "--error-unmatch", "--", NAME) == 0:
        return (
            f"{NAME} is in git: take it out with `git rm --cached {NAME}`, and have every secret in it "
            "replaced, since the history keeps them"
        )
    if _git(root, "check-ignore", "--quiet", "--", NAME) == 1:
        return f"{NAME} is not ignored by git: add the line `{NAME}` to .gitignore"
    return None


# --------------------------------------------------------------------------- lines


def _spelt(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _reassigned(line: str, name: str, value: str) -> str:
    """The line with another value; what stood around the old one, comments too, stays."""
    head = _ASSIGNMENT.match(line)
    if head is None:  # a name without a value
        lead = line[: len(line) - len(line.lstrip())]
        return f"{lead}{name}={_spelt(value)}{_line_end(line)}"
    rest = line[head.end() :]
    quoted = re.match(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", rest, re.DOTALL)
    if quoted:
        tail = rest[quoted.end() :]
    elif rest.startswith("#") and not head.group().endswith("="):  # no value, only a comment
        tail = f" {rest}"
    else:
        comment = re.search(r"\s+#[^\r\n]*", rest)
        tail = (comment.group() if comment else "") + _line_end(line)
    return f"{head.group()}{_spelt(value)}{tail}"


def _blank_lines(line: str) -> str:
    """The empty lines that stand before a binding."""
    lead = line[: len(line) - len(line.lstrip())]
    return lead[: lead.rfind("\n") + 1]


def _line_end(line: str) -> str:
    found = re.search(r"(?:\r\n|\n|\r)\Z", line)
    return found.group() if found else ""


# --------------------------------------------------------------------------- the file


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise BrokenEnvironment(f"{path} is not UTF-8", hint="Save it as UTF-8.") from error


def _refuse_misread(path: Path, old: str, new: str, values: Mapping[str, str]) -> None:
    """Raises BrokenEnvironment when readers would not find every value, or would lose another one."""
    if _read(new) == _read(old) | dict(values):
        return
    raise BrokenEnvironment(
        f"{path} has a line that cannot be understood, such as a quotation mark that is never closed",
        hint="Correct it, then try again: nothing was changed.",
    )


def _read(text: str) -> _Read:
    from dotenv import dotenv_values  # noqa: PLC0415  # only who writes secrets needs it

    # As reading from a file does it: every kind of line end becomes one.
    stream = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n"))
    return dict(dotenv_values(stream=stream, interpolate=False))


def _replace(path: Path, text: str) -> bool:
    owner = path.stat() if path.exists() else None
    changed = atomic.write(path, text.encode(), mode=OWNER_ONLY)
    now = path.stat()
    if owner is not None and (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
        os.chown(path, owner.st_uid, owner.st_gid)  # the daemon's user goes on reading its own file
    if stat.S_IMODE(now.st_mode) != OWNER_ONLY:
        path.chmod(OWNER_ONLY)
    return changed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold off others who write `.env` in this folder; the system's lock ends with its holder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _git(root: Path, *words: str) -> int | None:
    """The exit status of git; None when it is not there or does not answer."""
    try:
        return subprocess.run(  # noqa: S603  # fixed words
            ["git", "-C", str(root), *words],  # noqa: S607  # whichever git its user has
            capture_output=True,
            timeout=_GIT_PATIENCE,
            check=False,
        ).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None
