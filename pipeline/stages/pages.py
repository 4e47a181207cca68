"""Stage: build the pages of a run from its results."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pipeline.pages.contents import Networks
from pipeline.pages.site import build_site
from pipeline.session.session import Session
from pipeline.session.shown import shown

log = logging.getLogger(__name__)


def run(session: Session) -> None:
    """Build the site: everything that the results in the store allow."""
    log.info("pages: building")
    site = shown(session)
    for layer in site.layers:
        lacking = [init for init, climbed in layer.climbed.items() if not climbed]
        if lacking:
            log.info("pages: %s has not been climbed from %s", layer.name, ", ".join(lacking))
    build_site(site, _networks(session), session.paths.site)


def _networks(_: Session) -> Mapping[str, Networks | None]:
    """Return the networks that run in the browser, by layer."""
    return {}
