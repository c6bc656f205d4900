"""Plain parts of a page become one component; what callbacks can name stays."""

from __future__ import annotations

import pytest
from dash import dcc
from dash import html as slow

from dashboard import html
from dashboard.markup import Markup, drawn


def test_a_plain_tree_is_one_component_with_texts_attributes_and_children() -> None:
    tree = html.Div(["a ", html.B(3), None, [html.I(className="x", **{"data-row": "7"})]], key="k")
    (only,) = drawn(tree)
    assert isinstance(only, Markup)
    assert only.nodes == [
        ["div", {"key": "k"}, "a ", ["b", {}, 3], None, ["i", {"className": "x", "data-row": "7"}]]
    ]


def test_components_with_an_id_stay_where_they_are_and_their_plain_children_are_drawn() -> None:
    button = html.Button(["Send ", html.B("now")], id={"type": "send", "key": "1"})
    first, box, last = drawn([html.H2("Title"), html.Div([html.P("text"), button]), "end", html.P("more")])
    assert isinstance(first, Markup)
    assert last.nodes == ["end", ["p", {}, "more"]]
    assert drawn(html.B(["none ", None, 3], id="count"))[0].children == [
        "none ",
        3,
    ]  # texts need no component
    text, kept = box.children
    assert text.nodes == [["p", {}, "text"]]
    assert kept is button
    assert button.children[0].nodes == ["Send ", ["b", {}, "now"]]


def test_an_id_for_the_scripts_of_the_browser_does_not_make_a_component() -> None:
    (only,) = drawn(html.Div(html.Span(id="io-clock")))
    assert only.nodes == [["div", {}, ["span", {"id": "io-clock"}]]]


def test_fields_of_other_libraries_stay_components() -> None:
    field = dcc.Textarea(value="x")
    (box,) = drawn(html.Label([html.Span("Why"), field]))
    assert box.children[1] is field


def test_a_field_without_children_is_given_none() -> None:
    (field,) = drawn(html.Textarea(id="note", placeholder="What was done"))
    assert getattr(field, "children", None) is None  # a child of any kind would stand in it as text


def test_a_figure_is_handed_over_with_what_draws_it() -> None:
    chart = dcc.Graph(figure={"data": [], "layout": {}}, style={"height": "90px"}, className="io-chart")
    (only,) = drawn(html.Div(chart))
    assert only.nodes[0][2][:1] == ["graph"]
    assert only.nodes[0][2][1]["style"] == {"height": "90px"}


def test_quick_elements_are_what_those_of_dash_are() -> None:
    given = {"className": "x", "title": "t", "data-row": "7", "aria-label": "l"}
    assert html.Td(["a"], **given).to_plotly_json() == slow.Td(["a"], **given).to_plotly_json()
    assert isinstance(html.Td(), slow.Td)
    with pytest.raises(TypeError, match="has no attribute klass"):
        html.Td("a", klass="x")
