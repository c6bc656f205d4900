/* Tables by AG Grid (dashboard/tables.py): the script is fetched when the first table is to be drawn, and only then. */
(function () {
  "use strict";
  const SOURCE = "/_dash-component-suites/dash_ag_grid/dash_ag_grid.min.js";
  let script = null;
  function load() {
    script = script || new Promise((done, failed) => {
      const tag = Object.assign(document.createElement("script"), { src: SOURCE, onload: done });
      tag.onerror = () => { script = null; failed(new Error("the table's script did not load; try again")); };
      document.head.append(tag);
    });
    return script;
  }
  function edge(id) { // whether columns lie beyond the right edge, which is shaded then (42-scroll.css)
    const grid = document.getElementById(id), view = grid && grid.querySelector(".ag-center-cols-viewport");
    if (view) grid.toggleAttribute("data-beyond", view.scrollLeft + view.clientWidth < view.scrollWidth - 1);
  }
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.iops = Object.assign(window.dash_clientside.iops || {}, {
    grid: async (rows, table) => {
      const drawn = document.getElementById(table.props.id);
      if (!rows) return window.dash_clientside.no_update;
      if (!rows.length && !drawn) return null; // nothing to show: the script is not fetched for that
      if (drawn) {
        window.dash_clientside.set_props(table.props.id, { rowData: rows });
        return window.dash_clientside.no_update;
      }
      await load();
      window.dash_ag_grid.getApiAsync(table.props.id).then((api) => {
        for (const kind of ["bodyScroll", "gridSizeChanged", "columnResized", "firstDataRendered"]) api.addEventListener(kind, () => edge(table.props.id));
        edge(table.props.id);
      });
      return { ...table, props: { ...table.props, rowData: rows } };
    },
  });
})();
