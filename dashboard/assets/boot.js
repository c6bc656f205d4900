/* Runs before the first paint: theme and contrast. */
(function () {
  "use strict";
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try { kept = localStorage.getItem("iops-theme"); } catch (e) { kept = null; } // storage can be forbidden
  const choice = asked || kept || "system";
  const dark = matchMedia("(prefers-color-scheme: dark)"), forced = matchMedia("(forced-colors: active)");
  function apply(name) {
    // Where the system forces its colours, ours follow its darkness: figures take theirs from us.
    const isDark = forced.matches ? dark.matches : name === "dark" || ((name === "system" || name === "contrast") && dark.matches);
    root.dataset.bsTheme = isDark ? "dark" : "light";
    if (name === "contrast" || forced.matches || matchMedia("(prefers-contrast: more)").matches) root.dataset.contrast = "more";
    else delete root.dataset.contrast;
    root.dataset.choice = name;
  }
  apply(choice);
  for (const query of [dark, forced]) query.addEventListener("change", () => { apply(root.dataset.choice); document.dispatchEvent(new Event("iops-theme")); });
  window.iops = {
    setTheme(name) {
      try { localStorage.setItem("iops-theme", name); } catch (e) { /* storage can be forbidden */ }
      apply(name);
      document.dispatchEvent(new Event("iops-theme"));
    },
  };
  window.iops.writeZone = function () { // the zone a person chose, else the browser's
    let own = null;
    try { own = localStorage.getItem("iops-own-zone"); } catch (e) { own = null; }
    const zone = own || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    document.cookie = "iops-zone=" + zone + ";path=/;max-age=31536000;samesite=lax";
  };
  if (new URLSearchParams(location.search).get("embed") === "1") root.dataset.embed = "1"; // in a frame of somebody else's page
  root.dataset.mode = new URLSearchParams(location.search).has("at") ? "at" : "live";
  const wall = new URLSearchParams(location.search).get("kiosk");
  if (wall) root.dataset.kiosk = wall;
})();
