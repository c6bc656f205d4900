/* Headline numbers count up to what they are: from nothing when they first appear, then from what stood there. Whoever asks
   the system for less motion sees them at once. */
(function () {
  "use strict";
  const LASTS = 400; // milliseconds
  const NUMBER = /^[−-]?[\d,]+(\.\d+)?$/;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const known = new WeakMap(); // element -> {from, to, text, wrote}
  const value = (text) => Number(text.replace(/,/g, "").replace("−", "-"));
  function step(el, state, began) {
    const share = Math.min(1, (performance.now() - began) / LASTS), digits = (state.text.split(".")[1] || "").length;
    if (known.get(el) !== state || !el.isConnected || !el.firstChild) return;
    const now = state.from + (state.to - state.from) * (1 - (1 - share) ** 3);
    state.wrote = share < 1 ? now.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−") : state.text;
    el.firstChild.nodeValue = state.wrote;
    if (share < 1) requestAnimationFrame(() => step(el, state, began));
  }
  function look() {
    document.querySelectorAll("#shell-page .io-kpi .v > b").forEach((el) => {
      const text = el.textContent, before = known.get(el);
      if (before && (text === before.wrote || text === before.text)) return;
      const state = { from: before ? value(before.wrote) : 0, to: value(text), text, wrote: text };
      known.set(el, state);
      if (!calm.matches && NUMBER.test(text) && Number.isFinite(state.from)) step(el, state, performance.now());
    });
  }
  let due = false;
  new MutationObserver(() => { if (!due) { due = true; requestAnimationFrame(() => { due = false; look(); }); } }).observe(document.body, { childList: true, subtree: true, characterData: true });
})();
