/* New alerts are pointed out: a quiet toast on other pages, a notification of the browser for critical ones while this tab is
   in the background (if the person switched that on). Both are grouped, and come at most once in ten seconds. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const AT_MOST_EVERY = 10000, MOST = 20; // milliseconds; alerts told of in one answer
  let newest = null, last = 0, timer = null;

  function plan() {
    if (timer) return;
    timer = setTimeout(ask, Math.max(500, last + AT_MOST_EVERY - Date.now()));
  }
  async function ask() {
    last = Date.now();
    try {
      const answer = await fetch("/ui/news" + (newest === null ? "" : "?after=" + newest));
      if (!answer.ok) return;
      const news = await answer.json(), first = newest === null;
      newest = Math.max(newest || 0, news.newest_us);
      if (!first && news.items.length) tell(news.items);
    } catch (e) { /* offline: the badge says so, and the next change asks again */ } finally { timer = null; }
  }
  function address(items) {
    const query = new URLSearchParams(items.length === 1 ? { open: items[0].id } : { sort: "newest" });
    return ["/alerts", query];
  }
  const many = (items) => (items.length < MOST ? items.length : MOST + " or more");
  const words = (items, kind) => (items.length === 1 ? "New " + kind + "alert: " + items[0].title : many(items) + " new " + kind + "alerts");
  function tell(items) {
    const mode = document.documentElement.dataset.mode;
    if (!document.hidden && mode === "live" && !location.pathname.startsWith("/alerts")) iops.toast({ text: words(items, ""), open: () => iops.navigate(...address(items)) });
    const critical = items.filter((item) => item.severity === "critical");
    if (!critical.length || document.hasFocus() || iops.preference("notify") !== "on") return;
    const said = new Notification(words(critical, "critical "), { body: critical.slice(0, 3).map((item) => item.message).join("\n"), tag: "iops-critical" });
    said.onclick = () => { window.focus(); said.close(); iops.navigate(...address(critical)); };
  }
  document.addEventListener("iops-change", (event) => {
    const kinds = event.detail.kinds || [];
    if (!kinds.length || kinds.includes("alert")) plan(); // no kinds: we were polling or away
  });
  ask();
})();
