"""Build the site from the results in the store."""

from __future__ import annotations

import logging

from pipeline.networks.layers import Layer
from pipeline.pages.contents import Networks
from pipeline.pages.site import build_site
from pipeline.run.active_run import ActiveRun
from pipeline.stages.export.results import exported_network
from pipeline.stages.pages.contents import site_contents

log = logging.getLogger(__name__)


def build(run: ActiveRun, _plan: object) -> None:
    """Build the site."""
    log.info("pages: building")
    site = site_contents(run)
    for layer in site.layers:
        lacking = [init for init, climbed in layer.climbed.items() if not climbed]
        if lacking:
            log.info("pages: there are no ascents of %s from %s", layer.name, ", ".join(lacking))
    channels = run.parts.network.preprocessing.channels
    if channels != 3:
        log.info(
            "pages: the playground draws in red, green and blue, and the network takes %d"
            " channel%s, so it is empty",
            channels,
            "" if channels == 1 else "s",
        )
        build_site(site, {}, run.paths.site)
        return
    networks = {layer.name: _networks(run, layer) for layer in run.parts.layers}
    closed = [name for name, network in networks.items() if network is None]
    if closed:
        log.info(
            "pages: no exported networks of %s, so the playground has none; add export to stages",
            ", ".join(closed),
        )
    build_site(site, networks, run.paths.site)


def _networks(run: ActiveRun, layer: Layer) -> Networks | None:
    """Return the network of one layer for the browser, if it has been exported."""
    found = exported_network(run, layer)
    return found and Networks(found.forward, found.gradient, found.units, found.size)
