/* Type-ahead: the four filter chips and the find box. Options come from the server, at most one question at a time matters. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  let open = null; // {chip, box}
  let serial = 0;

  function box(label, ask, choose, hint, first) {
    const id = "io-list-" + ++serial;
    const wrap = document.createElement("div");
    const input = document.createElement("input");
    Object.assign(input, { type: "text", className: "io-input", placeholder: hint || "Type to search", autocomplete: "off", spellcheck: false });
    const list = document.createElement("ul");
    list.id = id;
    for (const [k, v] of Object.entries({ role: "combobox", "aria-label": label, "aria-expanded": "true", "aria-controls": id, "aria-autocomplete": "list" })) input.setAttribute(k, v);
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", label);
    list.className = "io-options";
    wrap.append(input, list);
    let rows = [], at = 0, asked = 0, timer = null;

    function mark(to) {
      at = Math.max(0, Math.min(rows.length - 1, to));
      [...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === at)));
      const li = list.children[at];
      if (li && rows.length) { input.setAttribute("aria-activedescendant", li.id); li.scrollIntoView({ block: "nearest" }); }
    }
    function show(found) {
      rows = found;
      list.replaceChildren(...found.map((row, i) => {
        const li = document.createElement("li");
        li.id = id + "-" + i;
        li.setAttribute("role", "option");
        const name = document.createElement("span");
        name.textContent = row.label;
        const more = document.createElement("span");
        more.className = "t3";
        more.textContent = row.hint !== undefined ? row.hint : String(row.count);
        if (row.count === 0) { li.classList.add("impossible"); li.title = "Nothing matches this together with the other filters"; }
        li.append(name, more);
        li.addEventListener("pointerdown", (e) => { e.preventDefault(); choose(rows[i]); });
        return li;
      }));
      if (!found.length) {
        const li = document.createElement("li");
        li.className = "none"; li.setAttribute("role", "option"); li.setAttribute("aria-disabled", "true"); li.textContent = "Nothing found";
        list.append(li);
      }
      mark(0);
    }
    async function search() {
      const mine = ++asked;
      try {
        const answer = await fetch(ask(input.value), { headers: { Accept: "application/json" } });
        if (mine === asked && answer.ok) show((input.value ? [] : first || []).concat(await answer.json()));
      } catch (e) { if (mine === asked) show([]); }
    }
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 60); });
    input.addEventListener("keydown", (e) => {
      if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); mark(at + (e.key === "ArrowDown" ? 1 : -1)); }
      else if (e.key === "Enter" && rows[at]) { e.preventDefault(); choose(rows[at]); }
      else if (e.key === "Escape") { e.stopPropagation(); iops.closePick(true); }
    });
    return { wrap, input, search, list };
  }

  iops.closePick = function (refocus) {
    if (!open) return;
    open.chip.setAttribute("aria-expanded", "false");
    open.pop.remove();
    if (refocus) open.chip.focus();
    open = null;
  };
  function openPick(chip) {
    const kind = chip.dataset.pick;
    const was = open && open.chip === chip;
    iops.closePick();
    if (was) return;
    const set = new URLSearchParams(location.search).has(kind);
    const ask = (text) => "/ui/options?kind=" + kind + "&text=" + encodeURIComponent(text) + "&search=" + encodeURIComponent(location.search);
    const made = box("Filter by " + kind, ask, (row) => { iops.closePick(); iops.change({ [kind]: row.value }); chip.focus(); }, "Type to search", set ? [{ label: "Any " + kind, value: null, hint: "" }] : []);
    const pop = document.createElement("div");
    pop.className = "io-pop io-pick";
    pop.append(made.wrap);
    chip.parentElement.append(pop);
    chip.setAttribute("aria-expanded", "true");
    open = { chip, pop };
    made.search();
    made.input.focus();
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-clear]")) return;
    const chip = event.target.closest("[data-pick]");
    if (chip) { event.stopPropagation(); iops.closeMenus(chip); openPick(chip); }
  });

  iops.mountFind = function () {
    const place = document.getElementById("io-find");
    if (!place || place.firstChild) return;
    const ask = (text) => "/ui/find?text=" + encodeURIComponent(text);
    const go = (row) => {
      wanted = 0;
      if (row.kind === "view") { made.input.value = ""; made.input.blur(); return iops.openView(row.href); }
      if (row.kind === "range" || row.kind === "moment") {
        made.input.value = ""; made.input.blur();
        return iops.change(row.kind === "range" ? { range: row.id, from: null, to: null } : { at: row.id });
      }
      made.input.value = ""; made.input.blur();
      iops.visit(new URL(row.href, location.origin));
    };
    const made = box("Find a student, tutor, subject, region, page or time", ask, go, "Find a student, tutor, page");
    const sign = document.createElement("span");
    sign.className = "ico ico-search s14"; sign.setAttribute("aria-hidden", "true");
    const key = document.createElement("kbd");
    key.className = "io-kbd"; key.textContent = "Ctrl K";
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "io-btn quiet icon only-phone" });
    close.setAttribute("aria-label", "Close search");
    close.innerHTML = '<span class="ico ico-close" aria-hidden="true"></span>';
    close.addEventListener("click", () => made.input.blur());
    place.append(sign, made.wrap, key, close);
    made.list.hidden = true;
    made.input.setAttribute("aria-expanded", "false");
    const toggle = (on) => { made.list.hidden = !on; made.input.setAttribute("aria-expanded", String(on)); };
    made.input.addEventListener("focus", () => { toggle(true); made.search(); });
    made.input.addEventListener("blur", () => { toggle(false); if (!wanted) delete root.dataset.finding; });
    made.input.addEventListener("keydown", (e) => { if (e.key === "Escape") { wanted = 0; made.input.blur(); } });
    /* A dialog that closes keeps the focus until it has faded, and gives it elsewhere then. Search asked for meanwhile waits
       for its end; what is typed until then goes into the field, not to the single-letter shortcuts. */
    const root = document.documentElement, SETTLED = 200; // milliseconds after a dialog in which it may still move the focus
    let wanted = 0; // until when the focus belongs here; 0: it is where it should be
    function settle() {
      if (!wanted) return;
      const now = performance.now();
      if (document.querySelector(".modal")) wanted = now + SETTLED;
      else if (document.activeElement !== made.input) made.input.focus();
      if (now < wanted) setTimeout(settle, 20); else wanted = 0;
    }
    iops.focusFind = () => {
      root.dataset.finding = "1"; // a phone shows the field only now
      if (!document.querySelector(".modal")) { made.input.focus(); made.input.select(); return; }
      const dialog = document.querySelector(".modal.show .btn-close");
      if (dialog) dialog.click();
      if (!wanted) made.input.value = "";
      wanted = performance.now() + SETTLED;
      settle();
    };
    iops.typedWhileFinding = (key) => { // true: the key was for the search
      if (!wanted || document.activeElement === made.input) return false;
      if (key.length === 1) made.input.value += key;
      made.search();
      return true;
    };
  };
})();
