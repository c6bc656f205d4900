/* Lists of students and tutors: a row is its link, search; and the copy button. */
(function () {
  "use strict";
  const iops = window.iops;
  const TYPING = 250; // milliseconds of quiet before a search is asked

  /* ---- a row is as good as its link ---- */
  document.addEventListener("click", (event) => {
    const row = event.target.closest && event.target.closest(".ppl-table tbody tr");
    if (!row || event.target.closest("a,button") || String(getSelection())) return;
    const link = row.querySelector("a[href]");
    if (link) link.click();
  });

  /* ---- search: replaces the address, so that Back leaves the page and not the last letter ---- */
  let timer = null;
  document.addEventListener("input", (event) => {
    if (!event.target.matches || !event.target.matches(".ppl-find input")) return;
    const text = event.target.value.trim();
    clearTimeout(timer);
    timer = setTimeout(() => {
      const query = new URLSearchParams(location.search);
      text ? query.set("q", text) : query.delete("q");
      query.delete("page");
      iops.navigate(location.pathname, query, true);
    }, TYPING);
  });

  /* ---- copy buttons ---- */
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    const source = button && (document.getElementById(button.dataset.copy) || document.querySelector(`[data-copied="${button.dataset.copy}"]`));
    if (!source) return;
    const said = () => iops.toast({ text: "Copied" });
    const select = () => { getSelection().selectAllChildren(source); iops.toast({ text: "Press Ctrl+C to copy the selected text" }); };
    navigator.clipboard ? navigator.clipboard.writeText(source.textContent).then(said, select) : select();
  });

  /* ---- called by Dash ---- */
  Object.assign(window.dash_clientside.iops, {
    searchText(search, id) {
      if (document.activeElement && document.activeElement.id === id) return window.dash_clientside.no_update;
      return new URLSearchParams(search || "").get("q") || "";
    },
  });
})();
