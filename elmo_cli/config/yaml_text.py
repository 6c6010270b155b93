"""YAML as text to plain values, where whatever is wrong with it is a `yaml.YAMLError` with its place.

PyYAML lets a date that is none, a number that is none, thousands of brackets and an anchor within itself out as errors
of Python, or expands a few aliases to gigabytes; and reads `010` as eight.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_DEEPEST = 100  # collections within each other; whoever walks through the values later needs room for that
_LARGEST = 1_000_000  # nodes of a document, each alias counted as all that it stands for
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_TEXT, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float"))


class _Loader(yaml.SafeLoader):
    """Reads plain values; keys are text as they stand there, so that `yes: 2` is of the label yes."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError, AttributeError, TypeError, IndexError, KeyError) as error:
            shown = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else "this"
            raise _problem(node, f"'{shown}' cannot be read ({error}); put it in quotes if it is text") from error

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if _LEADING_ZERO.fullmatch(node.value):
            raise _problem(node, f"'{node.value[:40]}' has a leading zero: leave it out, or put it in quotes")
        return super().construct_yaml_int(node)

    def construct_number(self, node: yaml.ScalarNode) -> Any:
        """A number, or the text of what YAML 1.1 counts in sixties: `1:30` is a label or a mistake, not ninety."""
        if ":" in node.value:
            return node.value
        is_int = node.tag == _INT
        return self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        self.flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = _TEXT
        return super().construct_mapping(node, deep)


for _tag in (_INT, _FLOAT):
    _Loader.add_constructor(_tag, _Loader.construct_number)


def load_yaml(text: str) -> Any:
    """The values of a document.

    Raises:
        yaml.YAMLError: It is no YAML, a value cannot be read, or it is nested too deeply, within itself or too large.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _measure(node, {})
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as error:
        raise yaml.MarkedYAMLError(problem="it is nested too deeply") from error


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Nodes of a node and how deep they lie, aliases written out.

    `known` are those of the nodes that were measured, or None while they are.
    """
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise _problem(node, "an anchor stands within itself")
        return measured
    known[id(node)] = None
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    inner = [_measure(part, known) for part in (parts if isinstance(parts, list) else ())]
    size, depth = 1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0)
    if size > _LARGEST:
        raise _problem(node, f"its aliases stand for more than {_LARGEST:,} values")
    if depth > _DEEPEST:
        raise _problem(node, "it is nested too deeply")
    known[id(node)] = size, depth
    return size, depth


def _problem(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
