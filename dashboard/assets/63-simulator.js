/* The Simulator page in the browser: the slider's filled part, and the clear button opens the frame's dialog. */
(function () {
  "use strict";
  const fill = (el) => el.style.setProperty("--p", (100 * (el.value - el.min)) / (el.max - el.min || 1) + "%");
  document.addEventListener("input", (e) => { if (e.target.matches && e.target.matches(".sim-slider input")) { fill(e.target); } });
  new MutationObserver(() => { const el = document.querySelector(".sim-slider input"); if (el && el.dataset.drawn !== el.value) { el.dataset.drawn = el.value; fill(el); } })
    .observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["value", "aria-pressed"] });
  document.addEventListener("click", (e) => {
    const clear = e.target.closest("[data-sim-clear]");
    if (clear && clear.getAttribute("aria-disabled") !== "true") document.getElementById("shell-clear-demo").click();
  });
})();
