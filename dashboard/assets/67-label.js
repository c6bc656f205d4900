/* Page "Label": the keys 1, 2 and 3 say what the buttons say. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector(".modal.show")) return;
    if (event.target.matches("input,textarea,select,[contenteditable=true]") || iops.preference("keys") !== "on") return;
    const answer = document.querySelector(`[data-label="${CSS.escape(event.key)}"]`);
    if (answer && location.pathname.startsWith("/label")) { event.preventDefault(); answer.click(); }
  });
})();
