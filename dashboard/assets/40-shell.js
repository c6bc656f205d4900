/* The frame in the browser: address, links, menus, theme, ages, commands with Undo, toasts, tables behind charts. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const root = document.documentElement;
  const SCOPE_KEYS = ["student", "tutor", "subject", "region", "range", "from", "to", "at", "zone", "theme", "paused", "embed", "kiosk"];
  const DONE_FOR = 5000, UNDO_FOR = 10000; // milliseconds a toast stays
  const byId = (id) => document.getElementById(id);
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);

  /* ---- time zone: told before the first question; asking for it takes a tenth of a second, so who has told it asks again later ---- */
  if (document.cookie.includes("iops-zone=")) setTimeout(() => iops.writeZone(), 3000);
  else iops.writeZone();

  /* ---- address ---- */
  iops.navigate = function (path, query, replace) {
    const text = query.toString().replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%2F/g, "/");
    const url = path + (text ? "?" + text : "");
    if (url === location.pathname + location.search) return;
    const notice = byId("shell-notice");
    if (notice && notice.firstChild) setProps("shell-notice", { children: null });
    history[replace ? "replaceState" : "pushState"]({}, "", url);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (!replace && path !== iops.lastPath) window.scrollTo(0, 0);
    iops.lastPath = path;
    settle();
  };
  iops.change = function (changes, path) {
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(changes)) value ? query.set(key, value) : query.delete(key);
    iops.navigate(path || location.pathname, query);
  };
  iops.visit = function (target, replace, also) { // another page with the shared filters, what the link says, and keys of `also`
    const query = new URLSearchParams(location.search);
    for (const key of [...query.keys()]) if (!SCOPE_KEYS.includes(key) && !(also || []).includes(key)) query.delete(key);
    for (const [key, value] of target.searchParams) query.set(key, value);
    iops.navigate(target.pathname, query, replace);
  };
  function follow(link) {
    const given = link.getAttribute("href");
    const target = new URL(link.href);
    if (given.startsWith("?")) return iops.change(Object.fromEntries(new URLSearchParams(given)));
    iops.visit(target);
  }
  function settle() { // after every change of the address
    const query = new URLSearchParams(location.search);
    root.dataset.mode = query.get("at") ? "at" : query.get("paused") ? "paused" : "live";
    document.querySelectorAll("[data-switch]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.switch === root.dataset.mode)));
    document.querySelectorAll(".io-mode-word").forEach((b) => { const word = { live: "Live", paused: "Paused", at: "Past" }[root.dataset.mode]; if (b.textContent !== word) b.textContent = word; });
    const here = "/" + location.pathname.split("/")[1];
    document.querySelectorAll("[data-nav]").forEach((a) => {
      a.dataset.nav === here ? a.setAttribute("aria-current", "page") : a.removeAttribute("aria-current");
    });
    const wall = query.get("kiosk");
    wall ? (root.dataset.kiosk = wall) : delete root.dataset.kiosk;
    closeMenus();
    addressedAt = Date.now();
    setTimeout(compareScopes, PATIENCE + 20); // a timer may fire a moment early
    if (iops.modeChanged) iops.modeChanged(root.dataset.mode);
  }
  window.addEventListener("popstate", settle);

  /* ---- panels that were computed with something else than the bar says ---- */
  function scopeKey() {
    const q = new URLSearchParams(location.search);
    const absolute = q.get("from") && q.get("to");
    return ["student", "tutor", "subject", "region"].map((k) => q.get(k) || "")
      .concat(absolute ? "24h" : q.get("range") || "24h", absolute ? q.get("from") : "", absolute ? q.get("to") : "", q.get("at") || "").join("|");
  }
  const PATIENCE = 150; // milliseconds: an answer that comes sooner is not announced, which would only flicker
  let addressedAt = 0;
  function compareScopes() {
    const key = scopeKey(), late = Date.now() - addressedAt >= PATIENCE;
    document.querySelectorAll("[data-scope]").forEach((p) => {
      if (p.dataset.scope === key) p.classList.remove("updating");
      else if (late) p.classList.add("updating");
    });
  }

  /* ---- menus ---- */
  function closeMenus(except) {
    document.querySelectorAll("details.io-menu[open]").forEach((d) => { if (d !== except && !(except && d.contains(except))) d.open = false; });
    if (!except && iops.closePick) iops.closePick();
  }
  function wall(el) { const input = el && !el.matches("input") ? el.querySelector("input") : el; return (input && input.value) || null; } // wall time; the server reads it in the page's zone

  /* ---- clicks: one listener, by data attribute ---- */
  const actions = {
    switch(el) {
      const to = el.dataset.switch === "toggle" ? (root.dataset.mode === "live" ? "paused" : "live") : el.dataset.switch;
      if (to !== "at") iops.change({ paused: to === "paused" ? "1" : null, at: null });
    },
    set(el) { iops.change(JSON.parse(el.dataset.set)); },
    at(el) { const value = wall(byId(el.dataset.at)); if (value) iops.change({ at: value, paused: null }); },
    atBack(el) { iops.change({ at: new Date(iops.now() - 1000 * el.dataset.atBack).toISOString().slice(0, 19) + "Z", paused: null }); },
    absolute() { const from = wall(byId("io-from")), to = wall(byId("io-to")); if (from && to) iops.change({ from, to, range: null }); },
    clear(el) {
      const kinds = el.dataset.clear === "1" ? ["student", "tutor", "subject", "region", "range", "from", "to"] : [el.dataset.clear];
      iops.change(Object.fromEntries(kinds.map((k) => [k, null])));
    },
    close() { setProps("shell-notice", { children: null }); },
    share() {
      const query = new URLSearchParams(location.search);
      if (!query.get("at")) query.set("at", new Date(iops.now()).toISOString().slice(0, 19) + "Z");
      const url = location.origin + location.pathname + "?" + query.toString();
      const said = () => iops.toast({ text: "Link copied: it shows this moment, also later" });
      navigator.clipboard ? navigator.clipboard.writeText(url).then(said, () => iops.toast({ text: url })) : iops.toast({ text: url });
    },
    refresh(el) { iops.refresh(el.dataset.refresh === "page"); },
    toggle(el) {
      if (el.dataset.toggle === "filters") {
        const open = root.toggleAttribute("data-filters");
        return el.setAttribute("aria-expanded", String(open));
      }
      const on = el.closest(".io-both").classList.toggle("show-table");
      el.setAttribute("aria-pressed", String(on));
      document.dispatchEvent(new Event("iops-table"));
    },
    tool(el) { // of the phone's sheet; the focus goes to what stays, so that a dialog can give it back
      closeMenus();
      el.closest("details").querySelector("summary").focus();
      el.dataset.tool === "find" ? iops.focusFind() : byId("shell-help-open").click();
    },
    command(el) { send(JSON.parse(el.dataset.command), el.closest("[data-row]")); },
  };
  document.addEventListener("click", (event) => {
    const el = event.target.closest("[data-clear],[data-command],[data-switch],[data-set],[data-at],[data-at-back],[data-absolute],[data-close],[data-share],[data-refresh],[data-toggle],[data-tool],a[href]");
    const menu = event.target.closest("details.io-menu");
    if (!event.target.closest(".io-pick")) closeMenus(menu);
    if (!el || el.getAttribute("aria-disabled") === "true") return;
    for (const name of Object.keys(actions)) {
      if (name in el.dataset) { if (el.dataset.switch !== "at") event.preventDefault(); event.stopPropagation(); return actions[name](el); }
    }
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (el.tagName !== "A" || !plain || el.origin !== location.origin || el.target === "_blank") return;
    if (el.pathname.startsWith("/export/")) { el.search = location.search; return; }
    if (el.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    follow(el);
    closeMenus(); // also where the link leads to what is already there
  }, true);

  /* ---- alert commands, with Undo ---- */
  let nonce = 0;
  const waiting = new Map();
  let lastUndo = null;
  function send(command, row) {
    command.nonce = ++nonce;
    if (row) { row.classList.add("sending"); waiting.set(nonce, row); }
    setProps("shell-command", { data: command });
  }
  iops.undo = function () { if (lastUndo) { send(Object.assign({ undoing: true }, lastUndo)); lastUndo = null; } };
  iops.refresh = function (byHand) { // by hand: also while paused, and it says so, as an unchanged page looks the same
    if (iops.pulse) iops.pulse(true);
    if (byHand) iops.toast({ text: "Asked again for everything on this page" });
  };

  /* ---- toasts: one lane, no more than three ---- */
  iops.toast = function (said) {
    const lane = byId("io-toasts");
    if (!lane || !said || !said.text) return;
    const box = document.createElement("div");
    box.className = "io-toast" + (said.level === "error" ? " bad" : "");
    const text = document.createElement("span");
    text.textContent = said.text;
    box.append(text);
    const add = (label, act) => { const b = document.createElement("button"); b.type = "button"; b.textContent = label; b.onclick = () => { box.remove(); act(); }; box.append(b); };
    if (said.open) add("Open", said.open);
    if (said.undo) { lastUndo = said.undo; add("Undo", iops.undo); } else add("Close", () => {});
    lane.append(box);
    while (lane.children.length > 3) lane.firstChild.remove();
    setTimeout(() => box.remove(), said.undo ? UNDO_FOR : DONE_FOR);
  };

  /* ---- what the server's callbacks hand over ---- */
  const none = () => window.dash_clientside.no_update;
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    iops: {
      result(said) {
        if (said) {
          const row = waiting.get(said.nonce);
          if (row) { row.classList.remove("sending"); waiting.delete(said.nonce); }
          iops.toast({ text: said.text, undo: said.undo, level: said.ok ? "" : "error" });
          iops.refresh();
        }
        return none();
      },
      toast(said) { if (said) iops.toast(said); return none(); },
      cleared(said) { if (said) { iops.toast({ text: said.text, level: said.ok ? "" : "error" }); iops.refresh(); } return none(); },
      canonical(search) {
        if (typeof search === "string" && search !== location.search) {
          history.replaceState({}, "", location.pathname + search + location.hash);
          window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
          settle();
        }
        return none();
      },
      dialog() {
        const triggered = window.dash_clientside.callback_context.triggered.map((t) => t.prop_id.split(".")[0]);
        const isOpen = arguments[arguments.length - 1];
        if (triggered.some((id) => id === "shell-help-open" || id === "shell-clear-demo")) return !isOpen;
        return false;
      },
    },
  });

  /* ---- ages tick here, by the server's clock ---- */
  let offset = null;
  iops.now = function () {
    if (offset === null) { const el = byId("io-root"); if (!el) return Date.now(); offset = Number(el.dataset.now) / 1000 - Date.now(); }
    return Date.now() + offset;
  };
  function age(seconds) {
    if (seconds < 90) return Math.max(0, Math.floor(seconds)) + " s";
    if (seconds < 5400) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return (Math.round(seconds / 360) / 10) + " h";
    return Math.floor(seconds / 86400) + " d";
  }
  iops.age = age;
  function tick() {
    if (document.hidden) return;
    const query = new URLSearchParams(location.search);
    const at = Date.parse(query.get("at") || "");
    const now = Number.isNaN(at) ? iops.now() : at;
    document.querySelectorAll("time.io-age").forEach((el) => {
      const seconds = (now - Number(el.dataset.us) / 1000) / 1000;
      const text = (el.dataset.prefix || "") + age(seconds) + (el.dataset.bare ? "" : " ago");
      if (el.textContent !== text) el.textContent = text;
      if (el.dataset.late) el.classList.toggle("late", seconds > Number(el.dataset.late));
      if (!el.title) el.title = new Date(Number(el.dataset.us) / 1000).toISOString().replace(".000", "");
    });
    const clock = byId("io-clock"), minute = [Math.floor(now / 60000), location.search, (byId("shell-zone-label") || {}).textContent].join();
    if (clock && clock.dataset.minute !== minute) { // written out once a minute: formatting a date in a zone is slow
      clock.dataset.minute = minute;
      clock.textContent = new Date(now).toLocaleString("en-GB", { timeZone: zoneName(query), weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }) + " " + ((byId("shell-zone-label") || {}).textContent || "");
    }
  }
  function zoneName(query) { return query.get("zone") || decodeURIComponent((document.cookie.match(/iops-zone=([^;]+)/) || [])[1] || "") || undefined; }
  iops.zoneName = () => zoneName(new URLSearchParams(location.search));
  setInterval(tick, 1000);

  /* ---- what Dash draws, we finish: scope marks, ages, the tab's title ---- */
  let due = false;
  const chosen = new WeakMap();
  function finish() {
    due = false;
    compareScopes();
    tick();
    const title = byId("shell-title");
    if (title) { const text = title.textContent + " · iOps Dashboard"; if (document.title !== text) document.title = text; }
    if (!document.querySelector("[data-nav][aria-current]") || !document.querySelector("[data-switch][aria-pressed=true]")) settle();
    if (iops.mountFind) iops.mountFind();
    document.querySelectorAll(".io-tabs a.on").forEach((tab) => { // on a phone the chosen one may be out of sight
      const row = tab.parentElement;
      if (chosen.get(row) !== tab && row.scrollWidth > row.clientWidth) row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
      chosen.set(row, tab);
    });
  }
  new MutationObserver(() => { if (!due) { due = true; requestAnimationFrame(finish); } })
    .observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-scope"] });
  iops.closeMenus = closeMenus;
  iops.send = send;
  iops.lastPath = location.pathname;
})();
