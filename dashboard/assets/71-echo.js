/* Browsers write the day in a field of theirs as their locale has it; below it stands what is chosen as the rest of the product writes it. */
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
  document.addEventListener("input", (event) => { if (event.target.type === "datetime-local") say(); });
  document.addEventListener("toggle", (event) => { if (event.target.open && event.target.querySelector('[type="datetime-local"]')) say(); }, true);
})();
