/* Wall mode (?kiosk=1, or ?kiosk=SECONDS to go round the pages): nobody is at the keyboard, so pages change by themselves
   unless somebody has moved the pointer or pressed a key in the last minute. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const ROUND = ["/", "/supply", "/calls", "/alerts"], QUIET = 60000, SHOWN = 3000; // milliseconds
  let touched = -QUIET, since = performance.now();
  const root = document.documentElement;
  function moved() {
    touched = performance.now();
    if (!root.dataset.kiosk) return;
    root.dataset.touched = "1"; // shows the way out
    setTimeout(() => { if (performance.now() - touched >= SHOWN - 100) delete root.dataset.touched; }, SHOWN);
  }
  for (const kind of ["pointermove", "pointerdown", "keydown"]) document.addEventListener(kind, moved, { passive: true });
  setInterval(() => {
    const seconds = Number(root.dataset.kiosk || 0), now = performance.now();
    if (seconds < 5 || document.hidden || now - touched < QUIET) { since = now; return; }
    if (now - since < 1000 * seconds) return;
    since = now;
    iops.visit(new URL(ROUND[(ROUND.indexOf(location.pathname) + 1) % ROUND.length], location.origin), true, ["compare"]);
  }, 1000);
})();
