"""The benchmarks: ``make bench``, or ``make bench-gpu`` on a CUDA device.

Prints tables and stores every figure as JSON in ``outputs/benchmarks``. ``--quick`` runs each part
once on little, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pipeline.cli import share_cores

share_cores()

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from pipeline.images.batches import Batch, load_batch, split  # noqa: E402
from pipeline.images.bundled import bundled_photographs  # noqa: E402
from pipeline.images.image_sets import folder  # noqa: E402
from pipeline.networks.cropping import Crop  # noqa: E402
from pipeline.networks.layers import Layer  # noqa: E402
from pipeline.networks.loading.network import Network  # noqa: E402
from pipeline.networks.loading.torchvision import torchvision_network  # noqa: E402
from pipeline.networks.responses import LayerResponses  # noqa: E402
from pipeline.networks.unit_networks import unit_network  # noqa: E402
from pipeline.runner.processes import Processes  # noqa: E402
from pipeline.runner.runner import Runner  # noqa: E402
from pipeline.search.top_patches import Found, find_peaks  # noqa: E402
from pipeline.store.provenance import provenance  # noqa: E402
from pipeline.synthesis.loop import ascend  # noqa: E402
from pipeline.synthesis.optimizers import sgd  # noqa: E402
from pipeline.synthesis.plan import batch_units, block_units  # noqa: E402
from tests.benchmarks import (  # noqa: E402
    coordination,
    evolution,
    plain,
    presentation,
    throughput,
    tuning,
    vocabulary,
)
from tests.benchmarks.measure import Peak, Timed, synchronize, take_turns, timed  # noqa: E402

SIDE = 227
KEEP = 100  # patches of every unit
STEPS = 100  # of the ascents that whole-network figures are for
OTHERS = {
    "vgg16": ["features.14", "features.28"],  # conv3_3, conv5_3
    "resnet18": ["layer3.1.conv2"],
    "googlenet": ["inception4c.branch2.1.conv"],
    "mobilenet_v2": ["features.7.conv.2"],
    "efficientnet_b0": ["features.4.1.block.0.0"],
}
Row = dict[str, str | float]


@dataclass
class Bench:
    """One run of the benchmarks."""

    runner: Runner
    device: str
    rounds: int
    quick: bool
    peak: Peak
    out: Path
    rows: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])

    def add(self, part: str, **row: str | float) -> None:
        self.rows.setdefault(part, []).append(row)


# Ascent


def ascent(bench: Bench) -> None:
    """Climb units of every layer, plainly and with this package."""
    network = torchvision_network("alexnet", "random")
    layers = network.find_layers("conv1" if bench.quick else "all")
    totals = {"plain": 0.0, "ours": 0.0, "peak": 0.0}
    for layer in layers:
        found = compare_ascents(bench, network, layer)
        for name in totals:
            totals[name] += float(found[f"{name}_us"]) * layer.units * STEPS / 1e6
    bench.add(
        "ascent",
        network="alexnet",
        layer=f"all, {STEPS} steps",
        plain_s=totals["plain"],
        ours_s=totals["ours"],
        ratio=totals["plain"] / totals["ours"],
        peak_share=totals["peak"] / totals["ours"],
    )
    for name, modules in {} if bench.quick else OTHERS.items():
        other = torchvision_network(name, "random")
        for layer in other.find_layers(modules):
            compare_ascents(bench, other, layer)


def compare_ascents(bench: Bench, network: Network, layer: Layer) -> Row:
    """Return microseconds per unit and step: the plain loop, ours, and the peak's for our crop."""
    graph, device = network.graph, bench.device
    objective = bench.runner.place(unit_network(graph, layer))
    plan = objective.canvas
    crop = Crop(graph, layer.node, plan.size, plan.position)
    batch = batch_units(crop) if device == "cpu" else min(layer.units, block_units(crop))
    batches = bench.runner.workers.threads if device == "cpu" else 1
    units = torch.arange(batch, device=device) % layer.units
    draw = torch.Generator().manual_seed(1)
    starts = (0.1 * torch.randn(batch, 3, *objective.input_size, generator=draw)).to(device)
    whole = graph.truncated([layer.node]).to(device)
    size, position = plain.centered(graph, layer.node)
    for parameter in whole.parameters():
        parameter.requires_grad_()
    image = torch.zeros(1, 3, *size, device=device)

    def ours(steps: int) -> None:
        def climb(_: int) -> None:
            ascend(objective, units, starts, sgd(steps=steps))

        for _ in bench.runner.stream(range(batches), lambda part: part, climb):
            pass

    def plainly(steps: int) -> None:
        plain.climb(whole, 0, position, image, steps, 0.1)

    # As many steps as fill a few seconds of ours, so that its one pass more (the last response) and
    # its first checks weigh as little as in a whole ascent, and one second of the plain loop.
    own = steps_for(lambda: ours(2), 3, 4.0, bench)
    theirs = steps_for(lambda: plainly(2), 2, 1.0, bench)
    things = {"peak": bench.peak, "plain": lambda: plainly(theirs), "ours": lambda: ours(own)}
    times = take_turns(things, bench.rounds, device)
    # Ours counts the last forward pass, which only reads the response, as part of a step.
    ours_each = scaled(times["ours"], 1e6 / (own * batch * batches))
    plain_each = scaled(times["plain"], 1e6 / theirs)
    operations = bench.peak.operations
    peak_each = scaled(times["peak"], 1e6 * 2 * crop.operations / operations)
    ratio, low, high = ours_each.ratio(plain_each)
    row: Row = {
        "network": network.name,
        "layer": layer.name if network.name == "alexnet" else layer.module,
        "field": plan.box.height,
        "mflop": 2 * crop.operations / 1e6,
        "batch": batch,
        "plain_us": plain_each.median,
        "ours_us": ours_each.median,
        "peak_us": peak_each.median,
        "ratio": ratio,
        "low": low,
        "high": high,
        "peak_share": peak_each.median / ours_each.median,
    }
    bench.add("ascent", **row)
    return row


def steps_for(two: Callable[[], None], passes: int, seconds: float, bench: Bench) -> int:
    """Return how many steps take about so long, after a first call that warms up."""
    if bench.quick:
        return 2
    two()
    return max(2, min(STEPS, int(seconds / (timed(two, bench.device) / passes))))


def scaled(times: Timed, factor: float) -> Timed:
    return Timed([factor * seconds for seconds in times.seconds])


# Search


def in_memory(bench: Bench) -> None:
    """Search images that are in memory, by a plain hook, with this package, and run them only."""
    count, per_hook = (32, 8) if bench.quick else (512, 64) if bench.device == "cpu" else (8192, 64)
    network = sized(torchvision_network("alexnet", "random"))
    layers = network.find_layers("all")
    images = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    images = images.to(bench.device)
    hooked, convolutions = hooked_network(bench)
    bench.runner.place(network.module)
    pure = bench.runner.place(torchvision_network("alexnet", "random").module.features[:11])
    responses = LayerResponses(network.graph, layers)
    size = 16 if bench.device == "cpu" else 512

    def load(part: range) -> Batch:
        indices = torch.tensor([*part])
        return Batch(indices, images[part.start : part.stop], indices, {})

    def ours() -> None:
        found = Found(layers, KEEP, bench.device)
        for peaks in bench.runner.stream(
            split(count, size), load, lambda batch: find_peaks(responses, batch, bench.device)
        ):
            found.add(peaks)
        for by_sign in found.extremes.values():
            by_sign[1].kept(), by_sign[-1].kept()

    def forward() -> None:
        def run(part: range) -> None:
            with torch.inference_mode():
                pure(load(part).images.contiguous(memory_format=torch.channels_last))

        for _ in bench.runner.stream(split(count, size), lambda part: part, run):
            pass

    def hook() -> None:
        plain.search(convolutions, hooked, images[:per_hook].split(8))

    things = {"hook": hook, "ours": ours, "forward": forward}
    times = take_turns(things, bench.rounds, bench.device)
    hook_rate, rates = scaled(times["hook"], 1 / per_hook), scaled(times["ours"], 1 / count)
    ratio, low, high = rates.ratio(hook_rate)
    bench.add(
        "search",
        images="in memory",
        plain_per_s=1 / hook_rate.median,
        ours_per_s=1 / rates.median,
        forward_per_s=count / times["forward"].median,
        ratio=ratio,
        low=low,
        high=high,
        of_forward=times["forward"].median / times["ours"].median,
    )


def from_files(bench: Bench) -> None:
    """Search JPEG files of 500 x 375 pixels, by a serial Pillow pipeline and with this package."""
    with tempfile.TemporaryDirectory() as place:
        paths = write_photographs(Path(place), 16 if bench.quick else 192)
        network = sized(torchvision_network("alexnet", "random"))
        layers = network.find_layers("all")
        bench.runner.place(network.module)
        images = folder(network.preprocessing, root=place, resize=SIDE, crop=SIDE)
        responses = LayerResponses(network.graph, layers)
        hooked, convolutions = hooked_network(bench)

        def ours() -> None:
            found = Found(layers, KEEP, bench.device)
            for peaks in bench.runner.stream(
                split(len(paths), 16),
                lambda part: load_batch(images, part),
                lambda batch: find_peaks(responses, batch, bench.device),
            ):
                found.add(peaks)

        if bench.device == "cpu":
            things = {
                "plain": lambda: plain.search_files(hooked, convolutions, paths, SIDE),
                "ours": ours,
            }
            times = take_turns(things, bench.rounds)
            ratio, low, high = times["ours"].ratio(times["plain"])
            bench.add(
                "search",
                images="JPEG files",
                plain_per_s=len(paths) / times["plain"].median,
                ours_per_s=len(paths) / times["ours"].median,
                ratio=ratio,
                low=low,
                high=high,
                memory_growth_mb=memory_growth(ours),
            )
        else:
            times = take_turns({"ours": ours}, bench.rounds, bench.device)
            rate = len(paths) / times["ours"].median
            bench.add("search", images="JPEG files", ours_per_s=rate)
        decode(bench, paths, lambda index: images.read(index))


def hooked_network(bench: Bench) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """Return the whole network, as the published script runs it, and the layers it listens to."""
    module = torchvision_network("alexnet", "random").module.to(bench.device)
    return module, [part for part in module.modules() if isinstance(part, torch.nn.Conv2d)]


def decode(bench: Bench, paths: Sequence[Path], read: Callable[[int], object]) -> None:
    """Decode, resize, crop and normalize on one thread."""
    few = range(min(64, len(paths)))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    things = {
        "plain": lambda: [plain.read(paths[index], SIDE, mean, std) for index in few],
        "ours": lambda: [read(index) for index in few],
    }
    times = take_turns(things, bench.rounds)
    torch.set_num_threads(threads)
    ratio, low, high = times["ours"].ratio(times["plain"])
    bench.add(
        "decode",
        plain_ms=1e3 * times["plain"].median / len(few),
        ours_ms=1e3 * times["ours"].median / len(few),
        ratio=ratio,
        low=low,
        high=high,
    )


def memory_growth(work: Callable[[], None]) -> float:
    """Return by how many MB the largest memory grows over three more passes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def sized(network: Network) -> Network:
    return replace(network, input_size=(SIDE, SIDE))


def write_photographs(place: Path, count: int) -> list[Path]:
    """Write crops of the bundled photographs as JPEG files of 500 x 375 pixels."""
    pictures = [Image.fromarray(pixels) for pixels in bundled_photographs().values()]
    paths: list[Path] = []
    for number in range(count):
        picture = pictures[number % len(pictures)].rotate(360 * number / count, expand=False)
        paths.append(place / f"{number:04d}.jpg")
        picture.resize((500, 375)).save(paths[-1], quality=92)
    return paths


# The vocabulary of ascents


def measure_throughput(bench: Bench) -> None:
    """Climb many units at once, one at a time, and by a plain loop, in richer ways than pixels."""
    for row in throughput.compare(bench.runner, bench.rounds, 1 if bench.quick else 6):
        bench.add("throughput", **row)


def present_stimuli(bench: Bench) -> None:
    """Present stimulus sets to all units of a layer, and the plain way."""
    network = torchvision_network("alexnet", "random").sized((SIDE, SIDE))
    network.module.to(bench.device)
    names = ["conv1"] if bench.quick else ["conv1", "conv2", "conv3"]
    bench.rows["stimuli"] = presentation.present(network, names, bench.rounds, bench.device)


def measure_tuning(bench: Bench) -> None:
    """Measure all properties of tuning of all units, and pass over the same stimuli."""
    network = torchvision_network("alexnet", "random")
    network.module.to(bench.device)
    names = ["conv1"] if bench.quick else ["conv1", "conv2", "conv3"]
    bench.rows["tuning"] = [tuning.compare(network, names, bench.rounds, bench.device)]


def evolve(bench: Bench) -> None:
    """Search images for many units at once, by passes alone, and one search at a time."""
    for row in evolution.compare(bench.quick, bench.rounds, bench.device):
        bench.add("evolution", **row)


def compare_vocabulary(bench: Bench) -> None:
    """Compare parameterizations by responses and smoothness; pictures go beside the JSON file."""
    for row in vocabulary.compare(bench.quick, bench.out):
        bench.add("vocabulary", **row)


# Whole commands


def commands(bench: Bench) -> None:
    """Time whole commands, start-up and saving included, and the same again from the store."""
    with tempfile.TemporaryDirectory() as out:
        for name, overrides in command_lines(bench).items():
            first = command(out, overrides, bench)
            again = command(out, overrides, bench)
            row: Row = {"command": name, "first_s": first, "again_s": again}
            steps = {row["layer"]: row for row in bench.rows.get("ascent", [])}
            if name.startswith("alexnet"):
                units = {"conv1": 64, "conv2": 192, "conv3": 384}
                loop = sum(
                    float(steps[k]["plain_us"]) * n * 2 * STEPS / 1e6 for k, n in units.items()
                )
                row |= {"plain_loop_s": loop, "ratio": loop / first}
            bench.add("commands", **row)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pipeline", "--help"], check=True, capture_output=True
        )
        bench.add("commands", command="--help", first_s=time.perf_counter() - start)


def command_lines(bench: Bench) -> dict[str, list[str]]:
    """Return what is run: the default, and AlexNet's first three layers with the reference data."""
    if bench.quick:
        return {"one layer": ["layers=[conv1]", "units=0:2", "optimizer.steps=2"]}
    data = os.environ.get("ARTIPHYS_REFERENCE_DATA")
    lines: dict[str, list[str]] = {"default": []}
    if data:
        weights = f"model.weights={data}/weights/alexnet_conv1-3.safetensors"
        images = [f"images.root={data}/images", "images.resize=null"]
        layers = "layers=[conv1,conv2,conv3]"
        what = "alexnet conv1 to conv3, 640 units, two inits"
        lines[what] = ["experiment=zeros_vs_top_patch", weights, *images, layers]
    return lines


def command(out: str, overrides: Sequence[str], bench: Bench) -> float:
    accelerator = f"runner.accelerator={bench.device}"
    words = [sys.executable, "-m", "pipeline", f"out={out}", "tracking=none", accelerator]
    start = time.perf_counter()
    subprocess.run([*words, *overrides], check=True, capture_output=True)
    return time.perf_counter() - start


# Printing


def show(rows: dict[str, list[Row]], console: Console) -> None:
    for part, found in rows.items():
        columns = list(dict.fromkeys(name for row in found for name in row))
        table = Table(title=part, title_justify="left")
        for name in columns:
            table.add_column(
                name, justify="left" if isinstance(found[0].get(name), str) else "right"
            )
        for row in found:
            table.add_row(*(_text(row.get(name, "")) for name in columns))
        console.print(table)


def _text(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda ...")
    parser.add_argument("--quick", action="store_true", help="each part once, on little")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each thing")
    parser.add_argument("--out", default="outputs/benchmarks", help="folder for the JSON file")
    parser.add_argument(
        "parts",
        nargs="*",
        help=f"some of {', '.join(PARTS)}; by default all but {', '.join(ON_REQUEST)}",
    )
    chosen = parser.parse_args()
    runner = Processes(chosen.device).here()
    rounds = 1 if chosen.quick else chosen.rounds
    peaks = Peak(chosen.device)
    bench = Bench(runner, chosen.device, rounds, chosen.quick, peaks, Path(chosen.out))
    console = Console(width=150)
    start = time.perf_counter()
    for name in chosen.parts or [name for name in PARTS if name not in ON_REQUEST]:
        PARTS[name](bench)
        synchronize(chosen.device)
    peak = min(timed(bench.peak, chosen.device) for _ in range(5))
    machine = {
        "threads": runner.workers.threads,
        "device": torch.cuda.get_device_name() if chosen.device != "cpu" else "cpu",
        "peak_gflops": bench.peak.operations / peak / 1e9,
        "seconds": time.perf_counter() - start,
    }
    show({**bench.rows, "machine": [machine]}, console)
    file = Path(chosen.out) / f"{datetime.now():%Y-%m-%d_%H-%M-%S}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": machine, "provenance": provenance(), "rows": bench.rows}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    console.print(f"stored in {file}")


ON_REQUEST = ("vocabulary",)  # an hour or more, most of it cppn
PARTS: dict[str, Callable[[Bench], None]] = {
    "ascent": ascent,
    "search": in_memory,
    "files": from_files,
    "stimuli": present_stimuli,
    "tuning": measure_tuning,
    "evolution": evolve,
    "commands": commands,
    "items": lambda bench: bench.rows.update(items=coordination.items(bench.quick)),
    "throughput": measure_throughput,
    "vocabulary": compare_vocabulary,
    "memory": lambda bench: bench.rows.update(memory=coordination.memory(bench.quick)),
}

if __name__ == "__main__":
    main()
