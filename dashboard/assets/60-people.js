/* Lists of students and tutors: heads that sort by the address, cells, cards on a phone, search; and the copy button. */
(function () {
  "use strict";
  const iops = window.iops;
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const h = (...args) => window.React.createElement(...args);
  const narrow = window.matchMedia("(max-width: 640px)");
  const CARD = 118, ROW = 52; // pixels
  const TYPING = 250; // milliseconds of quiet before a search is asked

  /* ---- cells ---- */
  const mark = (m) => h("span", { className: "io-sev ppl-mark " + m[0] }, h("span", { className: "ico ico-sev-" + m[0], "aria-hidden": true }), m[1]);
  cells.SortHead = function (p) {
    const [, again] = window.React.useState(0);
    window.React.useEffect(() => {
      const draw = () => again((n) => n + 1);
      window.addEventListener("_dashprivate_pushstate", draw);
      window.addEventListener("popstate", draw);
      return () => { window.removeEventListener("_dashprivate_pushstate", draw); window.removeEventListener("popstate", draw); };
    }, []);
    if (!p.sort) return h("span", { className: "ppl-head" }, p.displayName);
    const asked = new URLSearchParams(location.search);
    const first = p.api.getColumnDefs().map((c) => c.headerComponentParams && c.headerComponentParams.first).find(Boolean);
    const on = (asked.get("sort") || first) === p.sort;
    const up = asked.get("dir") === "asc";
    const href = "?sort=" + p.sort + "&page=&dir=" + (on && !up ? "asc" : "");
    return h("a", { href, className: "ppl-head" + (on ? " on" : ""), tabIndex: 0, "aria-label": p.displayName + (on ? (up ? ", lowest first" : ", highest first") : "") },
      p.displayName, on ? h("span", { className: "ico s12 ico-" + (up ? "up" : "down"), "aria-hidden": true }) : null);
  };
  cells.Person = (p) => h("span", { className: "ppl-person" }, h("a", { href: p.data.href, className: "fw6 el" }, p.data.name), h("span", { className: "t2 fs12" }, p.data.reason));
  cells.SegmentMark = (p) => mark(p.data.segment);
  cells.Pair = (p) => { const [top, below, tone] = p.data[p.colDef.field] || ["–", ""];
    return h("span", { className: "ppl-pair" }, h("b", { className: tone || "" }, top), h("span", null, below)); };
  cells.Named = (p) => { const [text, href] = p.data[p.colDef.field] || []; return text ? h(href ? "a" : "span", { href, className: "ppl-named" }, text) : h("span", { className: "t3" }, "–"); };
  cells.Load = (p) => { const [share, text, below] = p.data[p.colDef.field] || [null, "–", ""];
    return h("span", { className: "ppl-load" }, share === null ? h("span", { className: "t3" }, text) : h("span", { className: "row-f" }, h("span", { className: "io-bar" }, h("i", { style: { width: Math.min(100, 100 * share) + "%" } })), h("b", null, text)), h("span", null, below)); };
  cells.PersonCard = (p) => h("span", { className: "ppl-card" },
    h("span", { className: "row-f" }, mark(p.data.segment), h("span", { className: "grow" }), h("span", { className: "t3 fs12" }, p.data.card[0])),
    h("a", { href: p.data.href, className: "fw6" }, p.data.name), h("span", { className: "t2 why" }, p.data.reason),
    h("span", { className: "facts" }, p.data.card[1].map((f) => h("span", { key: f[0] }, h("b", null, f[1]), " " + f[0]))));
  functions.peopleRowHeight = () => (narrow.matches ? CARD : ROW);

  /* ---- a row is as good as its link ---- */
  document.addEventListener("click", (event) => {
    const row = event.target.closest && event.target.closest(".ppl-list .ag-row");
    if (!row || event.target.closest("a,button") || String(getSelection())) return;
    const link = row.querySelector("a[href]");
    if (link) link.click();
  });

  /* ---- search: replaces the address, so that Back leaves the page and not the last letter ---- */
  let timer = null;
  document.addEventListener("input", (event) => {
    if (!event.target.matches || !event.target.matches(".ppl-find input")) return;
    const text = event.target.value.trim();
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = new URLSearchParams(location.search);
      text ? query.set("q", text) : query.delete("q");
      query.delete("page");
      iops.navigate(location.pathname, query, true);
    }, TYPING);
  });

  /* ---- copy buttons ---- */
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const said = () => iops.toast({ text: "Copied" });
    const select = () => { getSelection().selectAllChildren(source); iops.toast({ text: "Press Ctrl+C to copy the selected text" }); };
    navigator.clipboard ? navigator.clipboard.writeText(source.textContent).then(said, select) : select();
  });

  /* ---- called by Dash ---- */
  const shown = (defs) => defs.map((c) => Object.assign({}, c, { hide: (c.field === "card") !== narrow.matches }));
  let grid = null; // id and columns of the list on the page
  narrow.addEventListener("change", () => {
    if (grid && document.getElementById(grid.id)) window.dash_clientside.set_props(grid.id, { columnDefs: shown(grid.defs) });
  });
  Object.assign(window.dash_clientside.iops, {
    searchText(search, id) {
      if (document.activeElement && document.activeElement.id === id) return window.dash_clientside.no_update;
      return new URLSearchParams(search || "").get("q") || "";
    },
    cardsWhenNarrow(id, defs) {
      grid = { id, defs };
      return shown(defs);
    },
  });
})();
