"""Where credentials come from, which source wins, and that they are shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.credentials import Credentials, variable
from pipeline.errors import BrokenEnvironment
from pipeline.settings import Settings


@pytest.mark.parametrize(
    ("channel_id", "name", "expected"),
    [
        ("presse", "SECRET", "PIPELINE_PRESSE_SECRET"),
        ("mastodon-fr", "ACCESS_TOKEN", "PIPELINE_MASTODON_FR_ACCESS_TOKEN"),
        ("a.b_c", "x", "PIPELINE_A_B_C_X"),
        ("café", "SECRET", "PIPELINE_CAF__SECRET"),
    ],
)
def test_a_variable_is_named_after_channel_and_field(channel_id: str, name: str, expected: str):
    assert variable(channel_id, name) == expected


def found(root: Path, dotenv: str = "", **environment: str) -> str | None:
    (root / ".env").write_text(dotenv, encoding="utf-8")
    return Credentials(root, environment).get("presse", "SECRET")


def test_the_environment_wins_over_the_file(tmp_path: Path):
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET=two\n", PIPELINE_PRESSE_SECRET="one") == "one"
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET=two\n") == "two"
    assert found(tmp_path, "PIPELINE_OTHER_SECRET=two\n") is None


def test_without_a_dotenv_file_the_environment_is_all(tmp_path: Path):
    assert Credentials(tmp_path, {}).get("presse", "SECRET") is None


def test_a_file_may_be_named_in_either_place(tmp_path: Path):
    (tmp_path / "secret").write_text("three\r\n", encoding="utf-8")
    (tmp_path / "other").write_text("four \n\n", encoding="utf-8")
    assert found(tmp_path, PIPELINE_PRESSE_SECRET_FILE=str(tmp_path / "secret")) == "three"
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET_FILE=other\n") == "four "
    both = {"PIPELINE_PRESSE_SECRET_FILE": "secret"}
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET=two\n", **both) == "three"
    assert found(tmp_path, PIPELINE_PRESSE_SECRET="one", **both) == "one"


def test_empty_is_not_set(tmp_path: Path):
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET=two\n", PIPELINE_PRESSE_SECRET="") == "two"
    assert found(tmp_path, "PIPELINE_PRESSE_SECRET=\nPIPELINE_PRESSE_SECRET_FILE=\n") is None
    assert found(tmp_path, PIPELINE_PRESSE_SECRET_FILE="empty") is None


def test_a_secret_is_taken_as_it_stands(tmp_path: Path):
    assert found(tmp_path, "HOME=x\nPIPELINE_PRESSE_SECRET='a${HOME}#b'\n") == "a${HOME}#b"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(BrokenEnvironment, match=r"PRESSE_SECRET_FILE names .*secret, which cannot be read"):
        found(tmp_path, "PIPELINE_PRESSE_SECRET=two\n", PIPELINE_PRESSE_SECRET_FILE="secret")


def test_a_dotenv_file_that_is_not_utf_8_is_an_error(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"PIPELINE_PRESSE_SECRET=\xff\n")
    with pytest.raises(BrokenEnvironment, match=r"\.env is not UTF-8"):
        Credentials(tmp_path, {}).get("presse", "SECRET")


def test_a_changed_secret_counts_from_the_next_look_on(tmp_path: Path):
    credentials = Credentials(tmp_path, {})
    for value in ("one", "two"):
        (tmp_path / ".env").write_text(f"PIPELINE_PRESSE_SECRET={value}\n", encoding="utf-8")
        assert credentials.get("presse", "SECRET") == value


def test_settings_give_credentials_and_show_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIPELINE_PRESSE_SECRET", "hunter2")
    settings = Settings(tmp_path, "sqlite://")
    assert settings.credential("presse", "SECRET") == "hunter2"
    assert "hunter2" not in f"{settings!r} {Credentials(tmp_path, {'PIPELINE_PRESSE_SECRET': 'hunter2'})!r}"
