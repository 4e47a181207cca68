"""Write docs/options.md and docs/tables.md from the configuration, the docstrings and the stages.

    python docs/reference.py    # or: make docs

Nothing in these two pages is written by hand: what an option does stands at the top of its YAML
file in conf/, what its arguments mean in the docstring of its function or beside them in the YAML
file, what a setting means in pipeline/config, and what a stage and its tables are in
pipeline/stages. Of an argument, the comment beside it in the YAML file is taken before a docstring.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from pipeline.config.schema import CHECK, DEFAULT_STAGES, Config
from pipeline.config.search_path import conf_dir
from pipeline.stages.catalog import all_stages, stages_before

DOCS = Path(__file__).parent
GROUPS = (
    "model", "images", "objective", "init", "parameterization", "constraint", "optimizer",
    "regularizer", "smoothing", "transform", "gradient", "readout", "stimulus", "searcher",
    "generator", "scorer", "runner", "tracking",
)  # fmt: skip
# Which section of the configuration holds the settings of a stage, where names differ.
SECTIONS = {"top_patches": "search", "train": "training"}
EXAMPLES = (
    "name=vgg model=vgg16 images=folder images.root=/data/photos layers=[conv1,features.10]"
    " units=0:64",
    "init=[zeros,noise,image] init.noise.std=0.5 optimizer=adam optimizer.steps=200",
    "objective=[channel_mean] parameterization=[fourier,decorrelated,sigmoid] transform=standard"
    " init=[parameters] optimizer=adam optimizer.lr=0.05",
    "objective=[channel_mean,diversity] objective.diversity.weight=0.5 init=[noise] init.copies=4",
    "objective=[layer_mean_square] layers=[conv4] init=[image] ascent.size=[240,320]"
    " optimizer.normalize=std",
    "objective=[class_logit] layers=[output] units=[5,22] regularizer=[total_variation,l2]"
    " smoothing=[blur]",
    "optimizer=named optimizer.name=RMSprop optimizer.lr=[0.1,0.01] constraint=norm"
    " gradient=redirected_relu",
    "model=alexnet model.weights=random seed=3",
    "images=arrays images.root=/data/i50k",
    "stages=[check] model=vgg16",
)
MADE = "<!-- Written by `make docs`; edit the YAML comments and docstrings instead. -->"
Rows = list[tuple[str, ...]]


# What is written where.


def entries(text: str, title: str) -> dict[str, str]:
    """Return the entries of a section of a Google-style docstring, such as ``Args``."""
    found = re.search(rf"^{title}:\n((?:[ ]{{4}}.*\n?|\n)*)", text, re.MULTILINE)
    named: dict[str, str] = {}
    name = ""
    for line in found[1].splitlines() if found else ():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name, named[start[1]] = start[1], start[2]
        elif name and line.strip():
            named[name] += f" {line.strip()}"
    return named


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    before, _, _ = text.split("\n\n")[0].partition("\npython -m ")
    return re.split(r"(?<=[a-z0-9)\]`'\"]\.) (?=[A-Z0-9\"])", " ".join(before.split()))[0]


def attributes(kind: Any) -> dict[str, str]:
    """Return what the docstring of a class says of its attributes."""
    return entries(inspect.getdoc(kind) or "", "Attributes")


def markdown(text: str) -> str:
    """Return a text of a docstring or comment as a sentence in Markdown."""
    parts = " ".join(text.split()).replace("``", "`").replace("|", "\\|").split("`")
    for number in range(0, len(parts), 2):  # what is not set as code already
        part = re.sub(r"(?<![\w`])[\w.]+=[\w\[\],.]*[\w\]]", r"`\g<0>`", parts[number])
        parts[number] = part.replace("<", "&lt;").replace("*", "\\*")
    text = "`".join(parts)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "...")) or not text else f"{text}."


def value(given: Any) -> str:
    """Return a default as it would be given."""
    if given == "???":
        return "required"
    text = yaml.safe_dump(given, default_flow_style=True, width=1000).strip()
    text = re.sub(r"\n?\.\.\.$", "", text).strip().replace(", ", ",").replace("'", "")
    return f"`{text}`" if text else "empty"


def table(head: tuple[str, ...], rows: Rows) -> str:
    """Return a Markdown table."""
    ruled = "|" + "---|" * len(head)
    first, *rest = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([first, ruled, *rest])


# Options.


@dataclass(frozen=True)
class Option:
    """One option of a configuration group.

    Attributes:
        group: the group.
        name: the name of its file.
        about: what it does.
        arguments: default and meaning of each of its keys.
        base: option whose arguments it has besides, with other defaults.
    """

    group: str
    name: str
    about: str
    arguments: Mapping[str, tuple[Any, str]]
    base: str | None = None

    @property
    def listed(self) -> bool:
        """Whether options of its group are chosen as a list."""
        return is_list(self.group)


@cache
def main_config() -> dict[str, Any]:
    """Return the primary configuration."""
    return yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))


@cache
def chosen() -> dict[str, Any]:
    """Return what is chosen in every group by default."""
    found: dict[str, Any] = {}
    for entry in main_config()["defaults"]:
        if isinstance(entry, dict):
            found |= entry
    return found


def is_list(group: str) -> bool:
    """Say whether options of a group are chosen as a list."""
    return isinstance(chosen()[group], list)


def comments(text: str) -> tuple[str, dict[str, str]]:
    """Return the comment at the top of a YAML file, and those beside its keys."""
    lines = text.splitlines()
    lines = lines[1:] if lines[0].startswith("# @package") else lines
    top: list[str] = []
    for line in lines:
        if not line.startswith("#"):
            break
        top.append(line.removeprefix("#").strip())
    beside = {m[1]: m[2] for m in re.finditer(r"^ *(\w+): [^#\n]*# (.*)$", text, re.MULTILINE)}
    return "\n".join(top), beside


@cache
def option(group: str, name: str) -> Option:
    """Return an option as its file and its function describe it."""
    text = (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")
    content, (about, beside) = yaml.safe_load(text), comments(text)
    base = next((b for b in content.get("defaults", []) if isinstance(b, str)), None)
    if "_target_" not in content and base is None:  # several options in one file
        arguments = {
            f"{part}.{key}": (default, option(group, part.partition("_")[0]).arguments[key][1])
            for part, node in content.items()
            for key, default in node.items()
            if not key.startswith("_")
        }
        return Option(group, name, about, arguments)
    known = described(content["_target_"]) if base is None else {}
    inherited = option(group, base).arguments if base else {}
    own = {
        key: (default, beside.get(key) or known.get(key, ""))
        for key, default in content.items()
        if not key.startswith("_") and key != "defaults" and key not in inherited
    }
    about = about or sentence(content["_target_"])
    return Option(group, name, about, own, base)


def function(target: str) -> Callable[..., Any]:
    """Return the function that a target names."""
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def sentence(target: str) -> str:
    """Return the first sentence of the docstring of a target."""
    return first_sentence(inspect.getdoc(function(target)) or "")


def described(target: str) -> dict[str, str]:
    """Return the arguments of a function, by its docstring and that of the class it returns."""
    made = get_type_hints(function(target)).get("return")
    given = entries(inspect.getdoc(function(target)) or "", "Args")
    return (attributes(made) if inspect.isclass(made) else {}) | given


def names(group: str) -> list[str]:
    """Return the options of a group: alphabetically, a stack of several last."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def described_option(each: Option) -> str:
    """Return the paragraph of an option, with the table of its arguments."""
    choice = f"{each.group}=[{each.name}]" if each.listed else f"{each.group}={each.name}"
    text = f"**`{choice}`**: {markdown(each.about)}"
    if each.base:
        text += f" Settings as of `{each.group}={each.base}`."
    prefix = each.group
    if each.listed and f"# @package {each.group}\n" not in _text(each):
        prefix = f"{each.group}.{each.name}"
    rows = [
        (f"`{prefix}.{key}`", value(default), markdown(meaning))
        for key, (default, meaning) in each.arguments.items()
    ]
    return text + ("\n\n" + table(("setting", "default", "meaning"), rows) if rows else "")


def _text(each: Option) -> str:
    return (conf_dir() / each.group / f"{each.name}.yaml").read_text(encoding="utf-8")


def group_section(group: str) -> str:
    """Return the section of a group."""
    default = chosen()[group]
    given = f"[{','.join(default)}]" if isinstance(default, list) else default
    parts = [f"## {group}", f"{markdown(attributes(Config)[group])} Default: `{group}={given}`."]
    parts += [described_option(option(group, name)) for name in names(group)]
    return "\n\n".join(parts)


def experiments() -> str:
    """Return the table of experiments."""
    rows: Rows = []
    for name in names("experiment"):
        text = (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
        rows.append((f"`experiment={name}`", markdown(first_sentence(comments(text)[0]))))
    return table(("choice", "what it does"), rows)


# Keys and settings.


def keys() -> str:
    """Return the table of the keys that belong to no group and no stage."""
    known = attributes(Config)
    single = [f.name for f in fields(Config) if f.name in main_config() and f.name not in GROUPS]
    rows = [(f"`{name}`", value(main_config()[name]), markdown(known[name])) for name in single]
    copies = ("`init.copies`", value(main_config()["init"]["copies"]), "See [init](#init).")
    own = ("`own`", value({}), f"{markdown(known['own'])} See [own.md](own.md).")
    shared = section_rows("screen")
    return table(("key", "default", "meaning"), [*rows, copies, *shared, own])


def stage_section(name: str) -> str:
    """Return what there is to set of a stage."""
    stage = all_stages()[name]
    after = ", ".join(f"`{need}`" for need in stages_before(stage, all_stages()))
    after = f" Runs after {after}, where these are asked for, too." if after else ""
    used = " One of the default stages." if name in DEFAULT_STAGES else ""
    tables = ", ".join(f"[`{t.name}`](tables.md#{t.name})" for t in stage.tables)
    leaves = f" Tables: {tables}." if tables else ""
    text = f"### {name}\n\n{markdown(stage.about)}{used}{after}{leaves}"
    section = SECTIONS.get(name, name)
    if section not in {f.name for f in fields(Config)}:
        return text
    return f"{text}\n\n" + table(("setting", "default", "meaning"), section_rows(section))


def section_rows(section: str) -> Rows:
    """Return the rows of the settings of a section of the configuration."""
    kind = {f.name: f for f in fields(Config)}[section].default_factory
    meanings = attributes(kind)
    return [
        (f"`{section}.{f.name}`", default_of(f), markdown(meanings[f.name])) for f in fields(kind)
    ]


def default_of(setting: Any) -> str:
    """Return the default of a field."""
    if setting.default is not MISSING:
        return value(setting.default)
    return value(setting.default_factory())


# The pages.


def options_page() -> str:
    """Return docs/options.md."""
    contents = ", ".join(f"[{group}](#{group})" for group in GROUPS)
    head = f"""# Options

{MADE}

Every setting is a [Hydra](https://hydra.cc) override: `KEY=VALUE` sets a key, `GROUP=OPTION`
chooses an option of a group. `init`, `objective`, `parameterization`, `regularizer`, `smoothing`,
`transform`, `readout`, `stimulus`, `searcher`, `generator` and `scorer` take lists:
`init=[zeros,noise]`.
`artiphys --help` prints the whole configuration with its defaults. A default of `null` means that
the setting is not given.
[vocabulary.md](vocabulary.md) shows what most options do in pictures.

Contents: [examples](#examples), [keys](#keys), [stages](#stages), [experiments](#experiments);
groups: {contents}, [hydra/launcher](#hydralauncher)."""
    stages = "\n\n".join(stage_section(name) for name in all_stages())
    checked = (
        f"`stages=[...]` takes these, and `{CHECK}`, which reports what the others would do and"
        " cost. The order of the list does not matter. A stage of your own is given by its"
        " module, as in `stages=[top_patches,my_lab.contrast]`: see [own.md](own.md)."
    )
    about = comments((conf_dir() / "hydra/launcher/slurm.yaml").read_text(encoding="utf-8"))[0]
    slurm = markdown(first_sentence(about))
    parts = [
        head,
        "## examples\n\n" + "\n".join(f"    artiphys {example}" for example in EXAMPLES),
        f"## keys\n\n{keys()}",
        f"## stages\n\n{checked}\n\n{stages}",
        "## experiments\n\nAn experiment sets many keys at once; each can still be overridden. Its"
        " file in `conf/experiment` says where its values come from, and lists variants."
        f"\n\n{experiments()}",
        *map(group_section, GROUPS),
        f"## hydra/launcher\n\n**`hydra/launcher=slurm`**: {slurm} Its settings are explained in"
        " [slurm/README.md](../slurm/README.md).",
    ]
    return "\n\n".join(parts) + "\n"


def tables_page() -> str:
    """Return docs/tables.md."""
    head = f"""# Tables

{MADE}

Every table is written to `tables/` of the run folder as Parquet, and short ones as CSV too. In a
notebook, the table `NAME` is `pipeline.open_run(path).NAME`, a pandas DataFrame.
[outputs.md](outputs.md) explains how to read the numbers."""
    index = [
        (f"[`{each.name}`](#{each.name})", f"`{stage.name}`", each.about.partition(":")[0])
        for stage in all_stages().values()
        for each in stage.tables
    ]
    parts = [head, table(("table", "stage", "holds"), index)]
    for stage in all_stages().values():
        for each in stage.tables:
            kind = "Parquet and CSV" if each.csv else "Parquet"
            rows = [
                (f"`{name}`", about.replace("|", "\\|")) for name, about in each.columns.items()
            ]
            parts.append(
                f"## {each.name}\n\nStage `{stage.name}`; {kind}. {markdown(each.about)}"
                f"\n\n{table(('column', 'meaning'), rows)}"
            )
    return "\n\n".join(parts) + "\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of every generated page."""
    yield DOCS / "options.md", options_page()
    yield DOCS / "tables.md", tables_page()


def main() -> None:
    """Write the pages."""
    for path, text in pages():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
