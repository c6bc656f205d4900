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
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.iops = Object.assign(window.dash_clientside.iops || {}, {
    grid: async (rows, table) => {
      if (!rows) return window.dash_clientside.no_update;
      if (document.getElementById(table.props.id)) {
        window.dash_clientside.set_props(table.props.id, { rowData: rows });
        return window.dash_clientside.no_update;
      }
      await load();
      return { ...table, props: { ...table.props, rowData: rows } };
    },
  });
})();
