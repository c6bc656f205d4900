/* Shortcuts. Single letters never act while typing and can be switched off in the sheet ("?") and under Settings. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const typing = (el) => el && (el.matches("input,textarea,select,[contenteditable=true]") || el.closest(".io-pick"));
  const rows = () => [...document.querySelectorAll("[data-row]")].filter((r) => r.offsetParent);
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((r) => r.classList.contains("sel"));
    const next = all[Math.max(0, Math.min(all.length - 1, now + step))];
    all.forEach((r) => r.classList.toggle("sel", r === next));
    next.scrollIntoView({ block: "nearest" });
    if (next.dataset.row) document.dispatchEvent(new CustomEvent("iops-row", { detail: next.dataset.row }));
    const link = next.querySelector("a[href]");
    if (link) link.focus({ preventScroll: true });
  }
  const letters = {
    j: () => move(1),
    k: () => move(-1),
    a: () => { const b = document.querySelector('[data-row].sel :is([data-command*=\'"ack"\'],[data-bulk])'); if (b) b.click(); },
    u: () => iops.undo(),
    r: () => iops.refresh(true),
    p: () => iops.change({ paused: document.documentElement.dataset.mode === "paused" ? null : "1", at: null }),
    w: () => iops.change({ kiosk: document.documentElement.dataset.kiosk ? null : "1" }),
    t: () => iops.setTheme(document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark"),
    "?": () => document.getElementById("shell-help-open").click(),
    "/": () => iops.focusFind && iops.focusFind(),
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); if (iops.focusFind) iops.focusFind(); return; }
    if (event.key !== "Escape" && !event.ctrlKey && !event.metaKey && !event.altKey && iops.typedWhileFinding && iops.typedWhileFinding(event.key)) { event.preventDefault(); return; }
    if (event.key === "Escape") {
      const menu = document.querySelector("details.io-menu[open]");
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); return; }
      if (document.querySelector(".modal.show")) return;
      if (new URLSearchParams(location.search).get("open")) iops.change({ open: null });
      else if (document.documentElement.dataset.kiosk) iops.change({ kiosk: null });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector(".modal")) return; // a dialog that fades out is still there
    const act = letters[event.key.length === 1 ? event.key.toLowerCase() : ""];
    if (act && iops.preference("keys") === "on") { event.preventDefault(); act(); }
  });
})();
