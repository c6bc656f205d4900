/* The fields of a menu for a moment or a range start with what the page shows. Browsers write the day in a field of theirs as
   their locale has it; below it stands what is chosen as the rest of the product writes it. */
(function () {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const field = (id) => { const el = byId(id); return el && (el.matches("input") ? el : el.querySelector("input")); };
  const zone = () => (byId("shell-zone-label") || {}).textContent || "";
  function words(wall) { // "Mon, 30 Nov 2026, 14:05" of a wall time, whatever zone it is in
    return new Date(wall + (wall.length > 10 ? "Z" : "T00:00Z")).toLocaleString("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
  }
  function range(from, to) {
    if (!from && !to) return "Times are in " + zone() + ".";
    if (!from || !to) return words(from || to) + " " + zone() + (from ? " to …" : " is the end; choose a start.");
    return from < to ? words(from) + " to " + words(to) + " " + zone() : "The start must be before the end.";
  }
  function moment(at) { return at ? words(at) + " " + zone() : "Times are in " + zone() + "."; }
  function say() {
    const [from, to, at] = ["io-from", "io-to", "io-at"].map((id) => (field(id) || {}).value || "");
    for (const [id, text] of [["io-range-says", range(from, to)], ["io-at-says", moment(at)]]) {
      const el = byId(id);
      if (el && el.textContent !== text) el.textContent = text;
    }
  }
  const SPANS = { h: 3600000, d: 86400000 }; // milliseconds
  function wall(ms) { // as the fields take it, in the zone of the page; seconds only where there are some
    const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return new Date(ms).toLocaleString("sv-SE", { timeZone: window.iops.zoneName(), ...parts }).replace(" ", "T").replace(/:00$/, "");
  }
  function shown() { // [from, to, the past moment or now] of the address, as wall times
    const query = new URLSearchParams(location.search), minute = 60000;
    const at = Math.floor((Date.parse(query.get("at") || "") || window.iops.now()) / minute) * minute;
    const from = Date.parse(query.get("from") || ""), to = Date.parse(query.get("to") || "");
    if (from && to) return [wall(from), wall(to), wall(at)];
    const [, count, unit] = (query.get("range") || "24h").match(/^(\d+)([hd])$/) || [];
    return [count ? wall(at - count * SPANS[unit]) : wall(at).slice(0, 10) + "T00:00", wall(at), wall(at)]; // without a count: today
  }
  function fill(menu) {
    ["io-from", "io-to", "io-at"].forEach((id, i) => {
      const input = field(id), text = shown()[i];
      if (!input || !menu.contains(input) || input.value === text) return;
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text); // so that React hears of it
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }
  document.addEventListener("input", (event) => { if (event.target.type === "datetime-local") say(); });
  document.addEventListener("toggle", (event) => { if (event.target.open && event.target.querySelector('[type="datetime-local"]')) { fill(event.target); say(); } }, true);
})();
