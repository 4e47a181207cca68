"""Building a site: the pages of one run as static files that open from any folder or host.

index.html  gallery.html  playground.html
assets/style.css  assets/*.js                       look and behavior
assets/data/site.js                                 what was run
assets/data/<layer>/layer.js                        numbers of all units of a layer
assets/data/<layer>/<unit>.js                       images, curves and patches of one unit
assets/data/<layer>/thumbnails-<number>.js          one small image of every unit
assets/data/<layer>/forward.js, gradient.js         the layer's networks
assets/images/<number>.jpg                          preprocessed source images
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.pages.bundle import bundle
from pipeline.pages.contents import Layer, Networks, ShownAscent, Site
from pipeline.pages.data_scripts import data_script, folder_name, plain
from pipeline.pages.encoded_images import jpeg, png
from pipeline.pages.networks import network_scripts, runtime_script
from pipeline.pages.sections import Section, UnitSections
from pipeline.pages.tables import layer_data, layer_rows, shown_numbers, unit_patches
from pipeline.pages.thumbnails import Sheet, thumbnail
from pipeline.pages.unit_images import UnitImage, ascent_images, patch_image
from pipeline.store.files import write_bytes

HERE = Path(__file__).parent
PAGES = ("gallery.html", "playground.html", "index.html")
HEADLINE = "headline.png"
KEPT_PICTURES = 512  # at 224 pixels: 80 MB
PREVIEWED = 10  # units per layer on the first page
OF_CURVES = ("init", "copy", "responses", "status", "transformed")
SCRIPTS = ("theme.js", "gallery.js", "playground.js")


def build_site(site: Site, networks: Mapping[str, Networks | None], folder: Path) -> None:
    """Write the site of a run into a folder; ``index.html`` is written last.

    Args:
        site: contents of the site.
        networks: exported networks by layer, if any.
        folder: folder of the site; existing files are replaced.

    Raises:
        StoreError: a file cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with ThreadPoolExecutor() as pool:
        builder = _Builder(site, networks, folder / "assets", pool)
        builder.write_pictures()
        for layer in site.layers:
            builder.write_layer(layer)
        builder.write_site()
    for name, page in _pages(site, networks, builder.previews):
        write_bytes(folder / name, page.encode())


Small = tuple[UnitImage, UInt8[np.ndarray, "_ _ 3"]]  # with its thumbnail


class _Builder:
    """Writes assets in parallel threads."""

    def __init__(
        self, site: Site, networks: Mapping[str, Networks | None], assets: Path, pool: Executor
    ) -> None:
        self.site, self.networks, self.assets, self.pool = site, networks, assets, pool
        self.picture = lru_cache(KEPT_PICTURES)(site.picture)
        self.sizes: dict[int, tuple[int, int]] = {}
        self.faults: dict[int, str] = {}
        self.previews: dict[str, str] = {}
        self.patches: dict[int, list[dict[str, Any]]] = {}
        self.sections: UnitSections = _no_sections

    def write_pictures(self) -> None:
        """Write the source images of all patches that are shown."""
        _all(self.pool.map(self._write_picture, shown_numbers(self.site)))

    def _write_picture(self, number: int) -> None:
        try:
            pixels = self.picture(number).pixels
        except ValueError as error:
            self.faults[number] = str(error)
            return
        self.sizes[number] = pixels.shape[0], pixels.shape[1]
        write_bytes(self.assets / "images" / f"{number}.jpg", jpeg(pixels))

    def write_layer(self, layer: Layer) -> None:
        """Write everything about a layer: its numbers, units, thumbnails and networks."""
        sheets: dict[str, Sheet] = {}
        self.patches = unit_patches(layer, self.site)
        self.sections = _no_sections if layer.sections is None else layer.sections()
        ascents_left = dict.fromkeys(layer.units)
        for ascents in layer.read():
            for unit in ascents:
                ascents_left.pop(unit, None)
            self._write_units(layer, ascents, sheets)
        self._write_units(layer, dict.fromkeys(ascents_left, ()), sheets)
        for number, sheet in enumerate(sheets.values()):
            self._put(layer.name, f"thumbnails-{number}", sheet.data())
        self._write_preview(layer, sheets)
        described = [sheet.describe() for sheet in sheets.values()]
        folder = self._folder(layer.name)
        _write_data(folder / "layer.js", layer.name, layer_data(layer) | {"thumbnails": described})
        found = self.networks.get(layer.name)
        if found is not None:
            for name, script in network_scripts(layer.name, found).items():
                write_bytes(folder / name, script.encode())

    def _write_preview(self, layer: Layer, sheets: Mapping[str, Sheet]) -> None:
        """Write some images of a layer for the first page: changes by ascents, or top patches."""
        found = [sheet for sheet in sheets.values() if sheet.panel.kind == "added"]
        for sheet in (found or [*sheets.values()])[:1]:
            name = f"layer-{len(self.previews)}.png"
            write_bytes(self.assets / "images" / name, png(sheet.preview(PREVIEWED)))
            self.previews[layer.name] = name

    def _write_units(
        self, layer: Layer, ascents: Mapping[int, Sequence[ShownAscent]], sheets: dict[str, Sheet]
    ) -> None:
        written = self.pool.map(lambda unit: self._write_unit(layer, unit, ascents[unit]), ascents)
        for unit, panels in zip(ascents, written, strict=True):
            for panel, tile in panels:
                sheet = sheets.setdefault(panel.name, Sheet(panel))
                sheet.tiles[unit] = (tile, panel.low, panel.high)

    def _write_unit(self, layer: Layer, unit: int, ascents: Sequence[ShownAscent]) -> list[Small]:
        """Write one unit and return the thumbnails of the first copies."""
        patches = [self._with_fault(patch) for patch in self.patches.get(unit, ())]
        panels = [
            panel
            for ascent in ascents
            for panel in ascent_images(ascent, self.site.preprocessing, self.site.copies)
        ]
        if patches and patches[0]["sign"] > 0 and patches[0]["number"] is not None:
            picture = self.picture(patches[0]["number"])
            top, left, bottom, right = patches[0]["box"]
            box = top, left, bottom, right
            panels.append(patch_image(picture, box, self.site.preprocessing))
        numbers = {patch["number"] for patch in patches} - {None}
        sizes = {number: self.sizes[number] for number in sorted(numbers)}
        data = {
            "unit": unit,
            "panels": [panel.data() for panel in panels],
            "curves": [
                plain({name: getattr(ascent, name) for name in OF_CURVES}) for ascent in ascents
            ],
            "patches": patches,
            "sections": [section.data() for section in self.sections(unit)],
            "images": {str(n): {"height": size[0], "width": size[1]} for n, size in sizes.items()},
        }
        self._put(layer.name, str(unit), data)
        return [(panel, thumbnail(panel.pixels)) for panel in panels if panel.copy == 0]

    def _with_fault(self, patch: dict[str, Any]) -> dict[str, Any]:
        """Return a patch, with a note if its image can no longer be read."""
        fault = self.faults.get(patch["number"])
        return patch if fault is None else patch | {"number": None, "fault": fault}

    def write_site(self) -> None:
        """Write the facts about the run, the styles and scripts, and the headline figure."""
        _write_data(self.assets / "data" / "site.js", "site", _site_data(self.site, self.networks))
        write_bytes(self.assets / "style.css", (HERE / "style.css").read_bytes())
        for name in SCRIPTS:
            write_bytes(self.assets / name, bundle(name).encode())
        if any(self.networks.values()):
            write_bytes(self.assets / "ort.js", runtime_script().encode())
        if self.site.headline is not None:
            write_bytes(self.assets / "images" / HEADLINE, self.site.headline.read_bytes())

    def _put(self, layer: str, name: str, value: Any) -> None:
        _write_data(self._folder(layer) / f"{name}.js", f"{layer}/{name}", value)

    def _folder(self, layer: str) -> Path:
        return self.assets / "data" / folder_name(layer)


def _no_sections(_unit: int) -> Sequence[Section]:
    return ()


def _write_data(path: Path, key: str, value: Any) -> None:
    write_bytes(path, data_script(key, value).encode())


def _all(results: Iterable[Any]) -> None:
    """Wait for all; the first error is raised."""
    for _ in results:
        pass


def _site_data(site: Site, networks: Mapping[str, Networks | None]) -> dict[str, Any]:
    return {
        **plain(dict(site.facts)),
        "preprocessing": asdict(site.preprocessing),
        "inits": list(site.inits),
        "copies": site.copies,
        "layers": [
            {
                "name": layer.name,
                "module": layer.module,
                "units": list(layer.units),
                "field": list(layer.field),
                "image": list(layer.image),
                "searched": layer.searched,
                "climbed": dict(layer.climbed),
                "correlated": layer.correlated,
                "network": _network_data(networks.get(layer.name)),
            }
            for layer in site.layers
        ],
    }


def _network_data(found: Networks | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "units": found.units,
        "size": list(found.size),
        "forward_bytes": len(found.forward),
        "gradient_bytes": len(found.gradient),
    }


def _pages(
    site: Site, networks: Mapping[str, Networks | None], previews: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the pages; the first one last."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number_text
    environment.filters["quoted"] = lambda text: quote(str(text), safe="")
    for page in PAGES:
        yield (
            page,
            environment.get_template(page).render(
                page=page,
                site=site.facts,
                preprocessing=site.preprocessing,
                layers=site.layers,
                rows=layer_rows(site),
                inits=site.inits,
                copies=site.copies,
                headline=None if site.headline is None else f"assets/images/{HEADLINE}",
                previews=previews,
                networks=networks,
            ),
        )


def number_text(value: float | None) -> str:
    """Return a number for a table: two decimals, or three if it is near zero."""
    if value is None or value != value:
        return "none"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
