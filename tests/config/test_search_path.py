from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import search_path


def test_checkout_is_recognized_by_its_project_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    room = tmp_path / "pipeline" / "config"
    room.mkdir(parents=True)
    monkeypatch.setattr(search_path, "__file__", str(room / "search_path.py"))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("")
    with pytest.raises(FileNotFoundError, match="please reinstall"):
        search_path.conf_dir()  # a stranger's conf is not taken
    (tmp_path / "pyproject.toml").write_text("")
    assert search_path.conf_dir() == tmp_path / "conf"
    (tmp_path / "pipeline" / "conf").mkdir()
    (tmp_path / "pipeline" / "conf" / "config.yaml").write_text("")
    assert search_path.conf_dir() == tmp_path / "pipeline" / "conf"
