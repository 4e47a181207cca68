"""Stage: say what a job would do and cost, and all that is wrong with it; run before any other."""

from __future__ import annotations

import logging
from dataclasses import replace

from pipeline.checking.job import check_job, remaining
from pipeline.checking.table import table
from pipeline.config.schema import Config
from pipeline.errors import ConfigError

log = logging.getLogger(__name__)


def check(config: Config) -> Config:
    """Print the check of a job, and return what of it remains to be run.

    Returns:
        The configuration without the check; its stages may be none.

    Raises:
        ConfigError: something is wrong; the faults have been printed.
    """
    checked = check_job(config)
    log.info("%s", table(checked))
    if checked.faults:
        count = len(checked.faults)
        raise ConfigError(f"check: {count} fault{'s' if count > 1 else ''} found, as listed above")
    return replace(config, stages=remaining(config))
