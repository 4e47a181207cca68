"""Jobs: what tells the runs of a sweep apart, in the words of the command line.

A job is the configuration of a run without what cannot change a correlation. Its name holds the
settings in which the jobs of a sweep differ, such as ``optimizer=adam optimizer.lr=0.05 seed=1``,
and neither time nor folder, so that the same sweep has the same jobs elsewhere and later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from pipeline.store.code import is_own
from pipeline.store.identity import ONE, SEVERAL, Effect, chosen, option_name, with_effect

Settings = Mapping[str, Any]  # by dotted key; the key of a group holds the name of its option


def job_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run's configuration that can change a correlation.

    A group holds the name of its option; ``init`` holds the names of the inits, whose order is of
    no effect, and other groups that are lists those of their options, joined by a plus.
    """
    found = dict(_leaves(with_effect(config, Effect.NUMBERS)))
    if found.get("model.seed") == found.get("seed"):
        found.pop("model.seed", None)  # it follows the seed of the run
    for group in ONE:
        found[group] = option_name(config.get(group) or {})
        found.pop(f"{group}.name", None)  # which it is
    for group in SEVERAL:
        found[group] = "+".join(chosen(config.get(group) or {}))
    found["init"] = sorted(chosen(config.get("init") or {}))
    return found


def identity(job: Settings) -> str:
    """Return all settings as text: the same for the same configuration, written in any order."""
    return " ".join(f"{key}={_text(job[key])}" for key in sorted(job))


def job_names(jobs: Sequence[Settings]) -> list[str]:
    """Return the settings in which each job differs from any other, as text; empty for one job.

    The settings of an option are named only if they differ between jobs that chose it, or if two
    options share them. Of paths, the last part is named where that tells them apart.
    """
    keys = [key for key in sorted({key for job in jobs for key in job}) if _differ(key, jobs)]
    words = {key: _words([job[key] for job in jobs if key in job]) for key in keys}
    return [
        " ".join(f"{key}={words[key][_text(job[key])]}" for key in keys if key in job)
        for job in jobs
    ]


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        elif key == "_target_":
            yield f"{prefix}option", value if is_own(value) else option_name(node)
        else:
            yield f"{prefix}{key}", _plain(value)


def _plain(value: Any) -> Any:
    """Return 1 for 1.0, which is the same setting."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _differ(key: str, jobs: Sequence[Settings]) -> bool:
    by_option: dict[str, set[str | None]] = {}
    for job in jobs:
        value = _text(job[key]) if key in job else None
        by_option.setdefault(_option(key, job), set()).add(value)
    if any(len(values) > 1 for values in by_option.values()):
        return True
    told_by_option = key.partition(".") in [(group, ".", "option") for group in ONE]
    return not told_by_option and len(set().union(*by_option.values()) - {None}) > 1


def _option(key: str, job: Settings) -> str:
    """Return which option a job chose where a key stands."""
    group, dot, _ = key.partition(".")
    if group in SEVERAL and dot:
        return str(job.get(f"{group}.{key.split('.')[1]}.option"))
    return str(job.get(group)) if group in ONE and dot else ""


def _words(values: Sequence[Any]) -> dict[str, str]:
    """Return a text for each value: a path's last part, if no two values share it."""
    last = {_text(value): _last_part(value) for value in values}
    return last if len(set(last.values())) == len(last) else {text: text for text in last}


def _last_part(value: Any) -> str:
    return PurePath(value).name if isinstance(value, str) and "/" in value else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
