"""Networks of the playground: the runtime and the layers' networks, as data scripts.

The runtime is ONNX Runtime Web (see ``vendor/README.md``). Its WebAssembly is compressed in the
site, too: browsers decompress gzip by themselves, and the script is a quarter of the size.
"""

from __future__ import annotations

import base64
import gzip
import lzma
from pathlib import Path

from pipeline.pages.contents import Networks
from pipeline.pages.data_scripts import data_script

VENDOR = Path(__file__).parent / "vendor"
# Browsers limit strings to about 500 MB, and keep the text, its bytes and the network in memory.
LARGEST = 200_000_000


def runtime_script() -> str:
    """Return the script that stores the runtime under ``ort``: {module, wasm}.

    ``module`` is the text of a JavaScript module, ``wasm`` base64 of gzip of WebAssembly.
    """
    module = (VENDOR / "ort.wasm.bundle.min.mjs").read_text(encoding="utf-8")
    wasm = lzma.decompress((VENDOR / "ort-wasm-simd-threaded.wasm.xz").read_bytes())
    # Without a time stamp, the script is reproducible.
    return data_script("ort", {"module": module, "wasm": _base64(gzip.compress(wasm, mtime=0))})


def network_scripts(layer: str, networks: Networks, largest: int = LARGEST) -> dict[str, str]:
    """Return the scripts of a layer's networks by file name, ``forward.js`` and ``gradient.js``.

    A network of more than ``largest`` bytes is stored as null, and the page says that it is too
    large.
    """
    return {
        f"{kind}.js": data_script(
            f"{layer}/{kind}", _base64(network) if len(network) <= largest else None
        )
        for kind, network in (("forward", networks.forward), ("gradient", networks.gradient))
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
