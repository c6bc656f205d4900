/* Dash draws a page anew when its children change. What a person was doing in it is put back before the next paint:
   focus, typed words, the row moved to with J and K, open menus, scrolled boxes, tables shown instead of charts. */
(function () {
  "use strict";
  const page = () => document.getElementById("shell-page");
  const isField = (el) => el.matches("textarea,input") && !el.closest("[data-dash-is-loading]");
  /* A name that finds the same thing in the next drawing. */
  function nameOf(el) {
    if (el.id) return "#" + CSS.escape(el.id);
    const row = el.closest("[data-row]"), box = row || el.closest("[data-alert],section,.io-drawer") || page();
    const within = row ? `[data-row="${CSS.escape(row.dataset.row)}"]` : box.id && box !== page() ? "#" + CSS.escape(box.id) : box.className && box !== page() ? "." + [...box.classList].filter((c) => c !== "sel" && c !== "updating" && c !== "sending").map(CSS.escape).join(".") : "#shell-page";
    const label = el.getAttribute("aria-label"), href = el.getAttribute("href");
    if (label) return `${within} ${el.tagName}[aria-label="${CSS.escape(label)}"]`;
    if (href) return `${within} a[href="${CSS.escape(href)}"]`;
    const alike = [...box.querySelectorAll(el.tagName)];
    return { within, tag: el.tagName, at: alike.indexOf(el) };
  }
  function find(name) {
    try {
      if (typeof name === "string") return document.querySelector(name);
      const box = document.querySelector(name.within);
      return box && box.querySelectorAll(name.tag)[name.at];
    } catch (e) { return null; }
  }
  const mine = (el) => el && el.closest && page() && page().contains(el);

  let where = "", focus = null, row = "", words = new Map(), menus = new Map(), scrolls = new Map(), tables = new Set();
  function forget() { if (location.pathname !== where) { where = location.pathname; focus = null; row = ""; [words, menus, scrolls, tables].forEach((m) => m.clear()); } }
  document.addEventListener("focusin", (e) => { forget(); focus = mine(e.target) ? { name: nameOf(e.target), el: e.target } : null; });
  document.addEventListener("pointerdown", (e) => { if (!mine(e.target)) focus = null; });
  document.addEventListener("input", (e) => { if (mine(e.target) && isField(e.target)) { const n = nameOf(e.target); words.set(JSON.stringify(n), { name: n, value: e.target.value, el: e.target }); } });
  document.addEventListener("toggle", (e) => { if (mine(e.target) && e.target.matches("details")) { const n = nameOf(e.target); e.target.open ? menus.set(JSON.stringify(n), { name: n, el: e.target }) : e.target.isConnected && menus.delete(JSON.stringify(n)); } }, true);
  document.addEventListener("scroll", (e) => { if (mine(e.target) && e.target !== document) { const n = nameOf(e.target); scrolls.set(JSON.stringify(n), { name: n, el: e.target, top: e.target.scrollTop, left: e.target.scrollLeft }); } }, true);

  document.addEventListener("iops-row", (e) => { forget(); row = e.detail; });

  function putBack() {
    if (!page()) return;
    forget();
    const chosen = [...document.querySelectorAll("#shell-page [data-row].sel")];
    if (chosen.length > 1 && chosen.some((r) => r.dataset.row === row)) chosen.forEach((r) => r.classList.toggle("sel", r.dataset.row === row)); // a new first row does not take over
    else if (chosen.length) row = chosen[0].dataset.row;
    else if (row && focus) { const again = document.querySelector(`#shell-page [data-row="${CSS.escape(row)}"]`); if (again) again.classList.add("sel"); }
    for (const kept of words.values()) if (!kept.el.isConnected) {
      const el = find(kept.name);
      if (el && el.tagName === kept.el.tagName) { if (!el.value) el.value = kept.el.value; kept.el = el; }
    }
    for (const kept of menus.values()) if (!kept.el.isConnected) { const el = find(kept.name); if (el) { el.open = true; kept.el = el; } }
    for (const kept of scrolls.values()) if (!kept.el.isConnected) { const el = find(kept.name); if (el) { el.scrollTop = kept.top; el.scrollLeft = kept.left; kept.el = el; } }
    if (focus && !focus.el.isConnected && (document.activeElement === document.body || !document.activeElement)) {
      const el = find(focus.name);
      if (el) {
        const from = focus.el.selectionStart, to = focus.el.selectionEnd;
        focus.el = el;
        el.focus({ preventScroll: true });
        if (typeof from === "number" && el.setSelectionRange) try { el.setSelectionRange(from, to); } catch (e) { /* not for this kind of field */ }
      }
    }
  }
  const start = () => { new MutationObserver(putBack).observe(document.body, { childList: true, subtree: true }); };
  document.body ? start() : document.addEventListener("DOMContentLoaded", start);
})();
