from __future__ import annotations

import base64
import gzip
import json
import lzma
from typing import Any

from pipeline.pages.contents import Networks
from pipeline.pages.networks import VENDOR, network_scripts, runtime_script


def put(script: str) -> tuple[str, Any]:
    """Return the key and value that a data script puts."""
    assert script.startswith("artiphys.put(")
    key, value = json.loads(
        f"[{script.removeprefix('artiphys.put(').removesuffix(');' + chr(10))}]"
    )
    return key, value


def test_the_runtime_arrives_as_it_is_kept() -> None:
    key, runtime = put(runtime_script())
    assert key == "ort"
    assert runtime["module"].startswith("/*!\n * ONNX Runtime Web v1.30.0")
    wasm = gzip.decompress(base64.b64decode(runtime["wasm"]))
    kept = (VENDOR / "ort-wasm-simd-threaded.wasm.xz").read_bytes()
    assert wasm == lzma.decompress(kept)


def test_networks_are_put_as_they_are_and_too_large_ones_are_not() -> None:
    made = Networks(forward=bytes(range(200)), gradient=bytes(201), units=2, size=(3, 3))
    scripts = network_scripts("a<b>/c", made, largest=200)
    assert "<" not in scripts["forward.js"]
    key, value = put(scripts["forward.js"])
    assert (key, base64.b64decode(value)) == ("a<b>/c/forward", bytes(range(200)))
    assert put(scripts["gradient.js"]) == ("a<b>/c/gradient", None)
