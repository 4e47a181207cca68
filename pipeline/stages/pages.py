"""Stage: build the pages of a run from its results."""

from __future__ import annotations

import logging

from pipeline.networks.layers import Layer
from pipeline.pages.contents import Networks
from pipeline.pages.site import build_site
from pipeline.session.exported import exported_network
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
    networks = {layer.name: _networks(session, layer) for layer in session.parts.layers}
    closed = [name for name, network in networks.items() if network is None]
    if closed:
        log.info(
            "pages: no networks of %s, so none in the playground; add export to stages",
            ", ".join(closed),
        )
    build_site(site, networks, session.paths.site)


def _networks(session: Session, layer: Layer) -> Networks | None:
    """Return what runs in the browser of one layer, if it has been exported."""
    found = exported_network(session, layer)
    return found and Networks(found.forward, found.gradient, found.units, found.size)
