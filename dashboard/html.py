"""Dash's HTML components, made without its examination of every attribute.

A page is some 2,000 elements, made anew at each refresh. Dash builds a sentence for a possible mistake at every attribute of
each and searches two lists of 50 names; here an unknown name is one look into a set. They are subclasses: what takes a component
of Dash takes these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

if TYPE_CHECKING:  # to mypy they are Dash's own; its __init__ hides their names from it
    from dash.html._imports_ import *  # noqa: F403
else:

    def _quick(kind: type) -> type:
        pattern = kind()
        names, wild = frozenset(pattern._prop_names), tuple(pattern._valid_wildcard_attributes)

        def init(self: Any, children: Any = None, **given: Any) -> None:
            for name in given:
                if name not in names and not name.startswith(wild):
                    raise TypeError(f"html.{kind.__name__} has no attribute {name}")
            if children is not None:
                self.children = children
            vars(self).update(given)

        # The module decides where Dash looks for the scripts of a namespace.
        return type(kind)(
            kind.__name__,
            (kind,),
            vars(pattern) | {"__init__": init, "__module__": kind.__module__, "_children_props": []},
        )

    globals().update({name: _quick(getattr(html, name)) for name in html.__all__})
