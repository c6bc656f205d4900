/* Cell renderers for tables.grid: marks, two-line cells, links, sparklines, bars. They draw React elements, no HTML text. */
(function () {
  "use strict";
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const h = (...args) => window.React.createElement(...args);
  const SHORT = { critical: ["crit", "Critical"], warning: ["warn", "Warning"], info: ["info", "Info"], ok: ["ok", "Normal"] };

  cells.Severity = (p) => {
    const [short, word] = SHORT[p.value] || ["unk", "No data"];
    return h("span", { className: "io-sev " + short }, h("span", { className: "ico ico-sev-" + short, "aria-hidden": true }), word);
  };
  cells.Link = (p) => h("a", { href: p.data[(p.href || p.colDef.field) + "_href"] || p.data.href, className: "io-cell-link" }, p.value);
  cells.TwoLine = (p) => h("span", { className: "io-two" },
    p.data.href ? h("a", { href: p.data.href, className: "fw6 el" }, p.value) : h("b", { className: "el" }, p.value),
    h("span", { className: "t2 fs12 el" }, p.data[p.second || "reason"]));
  cells.Tag = (p) => (p.value ? h("span", { className: "io-tag" }, p.value) : null);
  cells.Age = (p) => (p.value ? h("time", { className: "io-age", "data-us": String(p.value) }, "") : h("span", { className: "t3" }, "never"));
  cells.Bar = (p) => {
    if (p.value == null) return h("span", { className: "t3" }, "–");
    const share = Math.max(0, Math.min(1, p.value / (p.of || 100)));
    return h("span", { className: "io-bar-cell" }, h("span", { className: "io-bar" }, h("i", { style: { width: 100 * share + "%" } })), String(Math.round(p.value)));
  };
  cells.Spark = (p) => {
    const known = (p.value || []).filter((v) => v != null);
    if (known.length < 2) return h("span", { className: "t3" }, "–");
    const low = Math.min(...known), room = Math.max(...known) - low || 1, step = 70 / Math.max(1, p.value.length - 1);
    const points = p.value.map((v, i) => (v == null ? null : 1 + i * step + "," + (16 - ((v - low) / room) * 14))).filter(Boolean).join(" ");
    return h("svg", { width: 72, height: 18, viewBox: "0 0 72 18", role: "img", "aria-label": "trend " + known.join(", ") },
      h("polyline", { points, fill: "none", stroke: "var(--io-d-1)", strokeWidth: 1.5 }));
  };
  cells.Actions = (p) => h("span", { className: "row-f" }, (p.value || []).map((a) =>
    h("button", { key: a.label, type: "button", className: "io-btn", "data-command": a.command ? JSON.stringify(a.command) : undefined, "aria-disabled": a.disabled ? "true" : undefined, title: a.disabled || undefined }, a.label)));
})();
