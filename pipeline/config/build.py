"""Building objects from the configuration, with readable errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.refusals import in_words, refusal, unknown_key
from pipeline.config.schema import Config
from pipeline.errors import ArtiphysError, ConfigError, first_line, nearest

Group = Mapping[str, Any]  # one configuration group as plain data, with its _target_


def typed(composed: DictConfig) -> Config:
    """Return a composed configuration as an instance of the schema, all values resolved.

    Raises:
        ConfigError: a value is missing, or refers to something that does not exist, or a key that
            was added with a plus does not exist.
    """
    try:
        _check_keys(composed, Config)
        missing = sorted(str(key) for key in OmegaConf.missing_keys(composed))
        if missing:
            values = " ".join(f"{key}=VALUE" for key in missing)
            raise ConfigError(f"{', '.join(missing)}: must be given; add {values}")
        return cast("Config", OmegaConf.to_object(composed))
    except OmegaConfBaseException as error:
        raise ConfigError(refusal(error)) from error


def _check_keys(node: DictConfig, kind: type, at: str = "") -> None:
    """Reject keys that only a plus has added, and that nothing would read."""
    hints = get_type_hints(kind)
    for name in map(str, node):
        if name not in hints:
            raise ConfigError(unknown_key(f"{at}{name}", f"{at}{name}"))
        if is_dataclass(hints[name]) and not OmegaConf.is_missing(node, name):
            _check_keys(node[name], hints[name], f"{at}{name}.")


def build(group: Group, key: str) -> Any:
    """Instantiate one configuration group.

    Args:
        group: keys and values of the group.
        key: its place in the configuration, for messages.

    Raises:
        ConfigError: a key is unknown, or the target rejects a value.
    """
    check_signature(group, key)
    try:
        return instantiate(group, _convert_="all")  # plain lists instead of OmegaConf's
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ArtiphysError):
            raise cause from error
        text = first_line(cause or error)
        raise ConfigError(f"{key}: {text}") from error


def complete(partial: Callable[..., Any], key: str, *arguments: Any) -> Any:
    """Call the partial function built from a group with its remaining arguments.

    Raises:
        ConfigError: the target rejects them or the group's values.
    """
    try:
        return partial(*arguments)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{key}: {first_line(error)}") from error


def check_signature(group: Group, key: str) -> None:
    """Check that a group's keys are arguments of its target.

    Raises:
        ConfigError: there is no such target, or it takes no such argument.
    """
    for fault in signature_faults(group, key).values():
        raise ConfigError(fault)


def signature_faults(group: Group, key: str) -> dict[str, str]:
    """Return the faults of a group's keys, by name: all that its target does not accept."""
    # For example, an experiment has settings for an option that the command no longer chooses.
    given: Any = group
    if not isinstance(given, Mapping) or "_target_" not in given:
        return {"_target_": f"{key}: {_unchosen(given, key)}"}
    target = str(group["_target_"])
    try:
        function: Any = get_object(target)
        parameters = inspect.signature(function).parameters
    except Exception as error:  # noqa: BLE001 - importing it may run any code
        return {"_target_": f"{key}._target_: '{target}' cannot be imported ({error})"}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {}
    hints = get_type_hints(function)
    faults: dict[str, str] = {}
    for name, value in group.items():
        if name.startswith("_"):
            continue
        if name not in parameters:
            faults[name] = (
                f"{key}.{name}: {target} takes no such argument; it takes"
                f" {', '.join(parameters) or 'none'}{nearest(name, parameters)}"
            )
        elif not _fits(value, hints.get(name, Any)):
            words = in_words(hints[name]) or f"of the type {parameters[name].annotation}"
            faults[name] = f"{key}.{name}: {value!r} is not {words}"
        elif inner := list(_nested_faults(value, f"{key}.{name}")):
            faults[name], *others = inner
            faults |= {fault: fault for fault in others}
    return faults


def _nested_faults(value: Any, key: str) -> Iterator[str]:
    """Yield the faults of options that are given by name in an argument of another option."""
    if isinstance(value, Mapping) and "_target_" not in value:
        for name, option in cast("Mapping[str, Any]", value).items():
            if isinstance(option, Mapping) and "_target_" in option:
                yield from signature_faults(cast("Group", option), f"{key}.{name}").values()


def _unchosen(given: Any, key: str) -> str:
    """Return why something cannot be the chosen option of a group."""
    group = key.partition(".")[0]
    if isinstance(given, Mapping) and given:
        return f"has settings, but is not chosen; choose it, or add ~{key}"
    if isinstance(given, Mapping) or given is None:
        return f"nothing is chosen; choose an option, as in {group}=OPTION"
    return (
        f"{given!r} is not an option with its settings; set one of them, as in {key}.NAME=VALUE,"
        f" and begin the file of an option with _target_"
    )


def required(group: Group) -> set[str]:
    """Return the keys that the target of a group, which must exist, requires."""
    parameters = inspect.signature(cast("Callable[..., Any]", get_object(str(group["_target_"]))))
    given = {
        name
        for name, parameter in parameters.parameters.items()
        if parameter.default is parameter.empty
    }
    return {name for name in group if name.startswith("_") or name in given}


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a YAML value fits a plain type hint; other hints are left to the target."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    return True


def read_settings(kind: type, given: Any, stage: str) -> Any:
    """Return the settings of a stage of one's own, as the dataclass that describes them.

    Args:
        kind: the dataclass.
        given: values by name; ``None`` for none.
        stage: name of the stage, for messages.

    Raises:
        ConfigError: there is no such setting, or a value has the wrong type.
    """
    known = [each.name for each in fields(kind)]
    settings = {} if given is None else given
    if not isinstance(settings, Mapping):
        raise ConfigError(
            f"own.{stage}: {settings!r} are not settings by name; set one, as in"
            f" own.{stage}.{known[0] if known else 'NAME'}=VALUE"
        )
    for name in settings:
        if name not in known:
            raise ConfigError(
                f"own.{stage}.{name}: the stage has no such setting; it has {', '.join(known)}"
                f"{nearest(name, known)}"
            )
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), settings))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "settings"
        raise ConfigError(f"own.{stage}.{key}: {first_line(error)}") from error
