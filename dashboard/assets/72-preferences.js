/* What a person prefers in this browser: theme, time zone, single-letter shortcuts, notifications.
   A choice is a button with data-pref and data-value; its aria-pressed follows what is chosen, wherever it was chosen. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const read = new Map(); // storage is slow, and asked after each change of the page
  const kept = (name) => { if (!read.has(name)) try { read.set(name, localStorage.getItem("iops-" + name) || ""); } catch (e) { return ""; } return read.get(name); }; // storage can be forbidden
  const keep = (name, value) => { read.delete(name); try { value ? localStorage.setItem("iops-" + name, value) : localStorage.removeItem("iops-" + name); } catch (e) { /* storage can be forbidden */ } };
  const can = "Notification" in window;
  const preferences = {
    theme: { get: () => document.documentElement.dataset.choice || "system", set: (value) => iops.setTheme(value) },
    keys: { get: () => kept("keys") || "on", set: (value) => keep("keys", value === "off" ? "off" : "") },
    zone: {
      get: () => kept("own-zone"),
      set: (value) => { keep("own-zone", value); iops.writeZone(); iops.change({ zone: null }); location.reload(); } // every text of the page is written in it,
    },
    notify: {
      get: () => (kept("notify") === "on" && can && Notification.permission === "granted" ? "on" : "off"),
      async set(value) {
        if (value === "on" && (!can || (await Notification.requestPermission()) !== "granted")) {
          return iops.toast({ text: "This browser does not allow notifications here; its site settings can change that", level: "error" });
        }
        keep("notify", value === "on" ? "on" : "");
      },
    },
  };
  iops.preference = (name) => preferences[name].get();

  function mark() {
    const now = {};
    document.querySelectorAll("[data-pref]").forEach((el) => {
      const name = el.dataset.pref;
      if (!(name in now)) now[name] = preferences[name].get();
      const on = String(now[name] === el.dataset.value);
      if (el.getAttribute("aria-pressed") !== on) el.setAttribute("aria-pressed", on);
    });
  }
  document.addEventListener("click", async (event) => {
    const el = event.target.closest("[data-pref]");
    if (!el) return;
    await preferences[el.dataset.pref].set(el.dataset.value);
    mark();
    if (el.closest("details.io-menu")) iops.closeMenus();
  });
  document.addEventListener("iops-theme", mark);
  window.addEventListener("storage", () => { read.clear(); mark(); }); // chosen in another tab
  let due = false;
  new MutationObserver(() => { if (!due) { due = true; requestAnimationFrame(() => { due = false; mark(); }); } }).observe(document.body, { childList: true, subtree: true });
})();
