/* The Alerts page in the browser: search into the address, rows held still, selection, small forms, e and n. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const HELD = "alerts-held", BULK = "alerts-bulk";
  const list = () => document.getElementById("al-list");
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const ids = () => [...list().querySelectorAll("[data-row]")].map((r) => r.dataset.row);

  /* ---- rows hold still while pointer or focus is inside ---- */
  let held = null;
  function capture() {
    if (!list() || (held && held.key === list().dataset.key)) return;
    held = { key: list().dataset.key, ids: ids() };
    setProps(HELD, { data: held });
  }
  function release(show) {
    if (!held) return;
    held = null;
    if (!list()) return;
    setProps(HELD, { data: null });
    if (show || document.getElementById("al-new") || list().querySelector(".al-left")) setTimeout(iops.refresh, 0);
  }
  const inside = (node) => node && node.closest && node.closest("#al-list");
  document.addEventListener("pointerover", (e) => { if (inside(e.target)) capture(); else if (held && !inside(document.activeElement) && !e.target.closest("#al-new,.al-bulk,.io-toasts")) release(true); });
  document.addEventListener("focusin", (e) => { if (inside(e.target)) capture(); else if (held && !list()?.matches(":hover")) release(true); });

  /* ---- the list goes on when its end comes into sight ---- */
  let asked = "";
  function goOn() {
    const more = document.querySelector("#shell-page [data-more]");
    if (!more || asked === location.search || more.getBoundingClientRect().top > window.innerHeight + 200) return;
    asked = location.search;
    const query = new URLSearchParams(location.search);
    query.set("page", more.dataset.more);
    iops.navigate(location.pathname, query, true);
  }
  document.addEventListener("scroll", goOn, { passive: true });

  /* ---- selection ---- */
  let selected = new Map();
  let bulkUndo = null, counter = 0;
  function showSelection() {
    const bar = document.getElementById("al-bulk");
    if (!bar) { selected = new Map(); return; }
    const present = new Set(ids());
    for (const id of [...selected.keys()]) if (!present.has(id)) selected.delete(id);
    document.querySelectorAll(".al-check").forEach((c) => {
      const row = c.closest("[data-row]").dataset.row, on = selected.has(row);
      if (on) selected.set(row, JSON.parse(c.dataset.seen));
      if (c.getAttribute("aria-checked") !== String(on)) c.setAttribute("aria-checked", String(on));
    });
    bar.classList.toggle("on", selected.size > 0);
    const text = selected.size + " selected";
    const label = document.getElementById("al-selected");
    if (label.textContent !== text) label.textContent = text;
  }
  function sendBulk(action, items) {
    setProps(BULK, { data: { action, items, n: ++counter } });
  }
  const plainUndo = iops.undo, plainToast = iops.toast;
  iops.toast = function (said) { if (said && said.undo && !said.undo.bulk) bulkUndo = null; plainToast(said); };
  iops.undo = function () {
    if (!bulkUndo) return plainUndo();
    const items = bulkUndo;
    bulkUndo = null;
    sendBulk("unack", items);
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    iopsAlerts: {
      done(said) {
        if (said) {
          selected = new Map();
          showSelection();
          const undo = said.undo && said.undo.length ? { bulk: true } : undefined;
          iops.toast({ text: said.text, undo, level: said.ok ? "" : "error" });
          bulkUndo = undo ? said.undo : null;
          iops.refresh();
        }
        return window.dash_clientside.no_update;
      },
    },
  });

  /* ---- forms that need words: note, assign, dismiss, taking up an action ---- */
  function submit(send) {
    const about = send.closest("[data-alert]"), box = send.closest(".io-pop,.ins-form") || send.parentElement;
    const command = { alert_id: about.dataset.alert, action: send.dataset.alertForm, ...JSON.parse(about.dataset.seen) };
    const fields = [...box.querySelectorAll("textarea")];
    for (const field of fields) {
      const text = (field.value || field.dataset.default || send.dataset.default || "").trim();
      if (!text) { field.focus(); return; }
      command[field.dataset.field || send.dataset.field] = text;
    }
    iops.send(command, null);
    const menu = send.closest("details");
    if (menu) menu.open = false;
    for (const field of fields) {
      field.value = "";
      field.dispatchEvent(new Event("input", { bubbles: true })); // so that the words are not put back
    }
  }
  document.addEventListener("toggle", (e) => { // a draft stands there when its form opens, to be edited
    if (!e.target.matches(".ins-take") || !e.target.open) return;
    for (const field of e.target.querySelectorAll("[data-draft]")) if (!field.value) {
      field.value = field.dataset.draft;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }, true);
  document.addEventListener("click", (e) => {
    const check = e.target.closest(".al-check");
    if (check) {
      const row = check.closest("[data-row]").dataset.row;
      if (!selected.delete(row)) selected.set(row, JSON.parse(check.dataset.seen));
      return showSelection();
    }
    const all = e.target.closest("[data-bulk]");
    if (all && all.getAttribute("aria-disabled") !== "true") return sendBulk("ack", JSON.parse(all.dataset.bulk));
    const send = e.target.closest("[data-alert-form]");
    if (send && send.getAttribute("aria-disabled") !== "true") return submit(send);
    const button = e.target.closest("#al-bulk-ack,#al-bulk-none,#al-new");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    if (button.id === "al-new") return release(true);
    if (button.id === "al-bulk-ack") sendBulk("ack", [...selected].map(([alert_id, seen]) => ({ alert_id, ...seen })));
    else { selected = new Map(); showSelection(); }
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches(".al-field") && (e.ctrlKey || e.metaKey || e.target.closest(".io-pop"))) {
      e.preventDefault();
      return submit((e.target.closest(".io-pop,.ins-form") || e.target.parentElement).querySelector("[data-alert-form]"));
    }
    if (!list() || e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input,textarea,select") || document.querySelector(".modal.show")) return;
    if (iops.preference("keys") !== "on") return;
    const row = list().querySelector("[data-row].sel");
    if (e.key === "e" && row) { const b = row.querySelector('[data-command*=\'"resolve"\']'); if (b) { e.preventDefault(); b.click(); } }
    if (e.key === "n") {
      e.preventDefault();
      const note = document.getElementById("al-note");
      if (note && row && document.querySelector(".io-drawer").dataset.alert === row.dataset.row) return note.focus();
      if (row) { wantNote = true; iops.change({ open: row.dataset.row }); } else if (note) note.focus();
    }
  });

  /* ---- search: typed words go to the address after a moment ---- */
  let wait = null, wantNote = false, opened = "";
  function mountSearch() {
    const place = document.getElementById("al-search");
    if (!place) return;
    const q = place.dataset.q || "", there = place.firstChild;
    if (there) { if (there.dataset.q !== q && document.activeElement !== there) there.value = q; there.dataset.q = q; return; }
    const input = document.createElement("input");
    Object.assign(input, { type: "search", className: "al-q", placeholder: "Search alerts", value: q, maxLength: 100 });
    input.dataset.q = q;
    input.setAttribute("aria-label", "Search alerts");
    input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(() => iops.change({ q: input.value.trim(), page: null }), 250); });
    place.append(input);
  }
  /* ---- after each drawing: selection marks, the search field, focus into a newly opened drawer ---- */
  function settle() {
    due = false;
    const deep = location.pathname.match(/^\/alerts\/([^/]+)\/?$/);
    if (deep && list()) {
      const query = new URLSearchParams(location.search);
      query.set("open", decodeURIComponent(deep[1]));
      iops.navigate("/alerts", query, true);
    }
    if (!list()) { held = null; return; }
    mountSearch();
    showSelection();
    const drawer = document.querySelector(".al-page .io-drawer");
    const id = drawer ? drawer.dataset.alert || "" : "";
    if (id !== opened) {
      const before = opened;
      opened = id;
      if (id && before !== id) (wantNote && document.getElementById("al-note") || drawer.querySelector("h2")).focus({ preventScroll: true });
      else if (!id && before) list().querySelector(`[data-row="${CSS.escape(before)}"] a`)?.focus({ preventScroll: true });
      wantNote = false;
    }
  }
  let due = false;
  new MutationObserver(() => { if (!due) { due = true; requestAnimationFrame(settle); } }).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-row", "data-version", "data-alert", "data-q"] });
})();
