"""The folder of the configuration groups: in the package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """Return the folder of the configuration groups.

    A wheel contains it inside the package. An editable installation uses that of the checkout,
    recognized by the project file beside it, so that an unrelated ``conf`` folder is never used.

    Raises:
        FileNotFoundError: neither exists; the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent
    if (package / "conf" / "config.yaml").is_file():
        return package / "conf"
    if (checkout / "pyproject.toml").is_file() and (checkout / "conf" / "config.yaml").is_file():
        return checkout / "conf"
    raise FileNotFoundError(
        f"no configuration in {package} or {checkout}: please reinstall artiphys"
    )
