"""Answering a repeated command with the files of its finished run."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import asdict
from datetime import datetime

from omegaconf import OmegaConf

from pipeline.cli.jobs import Job
from pipeline.cli.log import short, tell_places
from pipeline.config.build import build
from pipeline.config.schema import Config
from pipeline.errors import StoreError
from pipeline.run.repeats import repeat
from pipeline.store.files import write_bytes
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.provenance import provenance
from pipeline.store.records import write_record
from pipeline.store.secrets import without_queries

log = logging.getLogger("pipeline")


def answer(config: Config, job: Job, layout: Layout, former: RunPaths) -> bool:
    """Answer from the folder of a finished run, if it is complete, without loading torch."""
    start = time.monotonic()
    if OmegaConf.select(OmegaConf.load(former.config), "runner") != config.runner:
        build(config.runner, "runner")  # only a check run finds its faults
    paths = layout.new_run(config.name, datetime.now())
    try:
        write_bytes(paths.config, OmegaConf.to_yaml(without_queries(asdict(config))).encode())
        record = repeat(former, paths)
    except StoreError:
        shutil.rmtree(paths.folder, ignore_errors=True)
        raise
    if record is None:
        shutil.rmtree(paths.folder, ignore_errors=True)
        return False
    seconds = time.monotonic() - start
    changes = {"seconds": round(seconds, 2), "computed": 0, **job.facts(config)}
    origin = former.folder.relative_to(layout.out).as_posix()
    write_record(paths, record | provenance() | changes | {"repeats": origin})
    job.ran(paths.folder)
    log.info("everything was in the store already: repeats %s", short(former.folder))
    tell_places(paths, record["findings"])
    return True
