"""Whole subtrees of a page as one component.

Dash gives every component of a page a subscription to its store and asks all of them several times in each refresh; a page of
2,000 elements spends a second in that alone. So a page hands over its plain parts (elements without an id, figures) as one
`Markup`, which assets/25-markup.js draws with React itself; whatever a callback can name stays a component of its own.
An id that begins with "io-" or "al-" is for the browser's scripts alone: no callback names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from dash import Output, dcc
from dash.development.base_component import Component

from dashboard import html
from dashboard.ids import PageIds

_HTML = "dash_html_components"
_DASH_ONLY = frozenset({"children", "n_clicks", "n_clicks_timestamp", "disable_n_clicks"})
FOR_SCRIPTS = ("io-", "al-")  # how ids begin that no callback names
_OF_A_GRAPH = ("figure", "config", "style", "className", "id")


class Markup(Component):
    """Draws `nodes`: texts, numbers, None, and elements as `[tag, attributes, child, ...]`."""

    _namespace = "iops"
    _type = "Markup"

    def __init__(self, nodes: list[Any], **given: Any) -> None:
        self._prop_names = self.available_properties = ["id", "nodes"]
        self._valid_wildcard_attributes = self.available_wildcard_properties = []
        super().__init__(nodes=nodes, **given)


def drawn(children: Any) -> list[Any]:
    """`children` of a Dash component, its plain parts as Markup or texts. Components with an id keep their place and theirs."""
    out: list[Any] = []
    nodes: list[Any] = []

    def close() -> None:
        if not any(isinstance(node, list) for node in nodes):
            out.extend(node for node in nodes if node is not None)
        else:
            out.append(Markup(nodes.copy()))
        nodes.clear()

    for child in _flat(children):
        if _plain(child):
            nodes.append(_node(child))
            continue
        close()
        if getattr(child, "children", None) is not None:
            child.children = drawn(child.children)
        out.append(child)
    close()
    return out


def holder(ids: PageIds, skeleton: Any, **attributes: Any) -> html.Div:
    """The body of a page without fields or buttons of its own: a refresh changes what differs, where children would be made anew."""
    return html.Div(Markup(nodes(skeleton), id=ids.part("drawn")), id=ids.body, **attributes)


def filled(ids: PageIds) -> Output:
    """What the data callback of such a page answers with: `nodes(...)`."""
    return Output(ids.part("drawn"), "nodes")


def nodes(children: Any) -> list[Any]:
    """Plain children for a `holder`. Raises ValueError for anything that a callback could name: it needs `drawn`."""
    return [_node(part) for part in _flat(children)]


def _flat(children: Any) -> Iterable[Any]:
    """The children one by one; lists inside lists count as if they stood in the outer one."""
    if not isinstance(children, (list, tuple)):
        return (children,)
    if not any(isinstance(child, (list, tuple)) for child in children):
        return children
    return [inner for child in children for inner in _flat(child)]


def _kind_of(type_: type) -> str:
    """What a child of this type is: "text", "html", "graph", or "named" (some other component, a part of one)."""
    if issubclass(type_, dcc.Graph):
        return "graph"
    if issubclass(type_, Component):
        return "html" if type_._namespace == _HTML else "named"
    return "named" if issubclass(type_, dict) else "text"


_kind: Callable[[Any], str] = cache(_kind_of)  # asking Dash's classes is slow, and there are few of them


def _plain(node: Any) -> bool:
    """Whether no callback can name the node or anything in it."""
    kind = _kind(type(node))
    if kind != "html":
        return kind != "named"
    given = vars(node)
    return _for_scripts(given.get("id")) and all(map(_plain, _flat(given.get("children"))))


def _for_scripts(id: Any) -> bool:
    """Whether an id is none that a callback could name."""
    return id is None or str(id).startswith(FOR_SCRIPTS)


def _node(node: Any) -> Any:
    kind = _kind(type(node))
    if kind == "text":
        return node
    given = vars(node) if kind != "named" else {}
    if kind == "graph":
        return ["graph", {name: given[name] for name in _OF_A_GRAPH if name in given}]
    if kind == "named" or not _for_scripts(given.get("id")):
        raise ValueError(f"{node!r:.80} can be named by a callback; return markup.drawn(...) as children")
    attributes = {
        name: value for name, value in given.items() if name not in _DASH_ONLY and value is not None
    }
    children = given.get("children")
    return [node._type.lower(), attributes, *(() if children is None else map(_node, _flat(children)))]
