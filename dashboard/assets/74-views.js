/* The menu of saved views: keep this address under a name, open one, start with one, delete one. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const make = (tag, given, text) => { const el = Object.assign(document.createElement(tag), given); if (text) el.textContent = text; return el; };

  async function send(order) {
    const answer = await fetch("/ui/views", order && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order) });
    const said = await answer.json();
    if (!answer.ok) { iops.toast({ text: said.detail, level: "error" }); return null; }
    return said;
  }
  async function order(place, what, words) {
    const kept = await send(what);
    if (!kept) return;
    draw(place, kept);
    iops.toast({ text: words });
  }
  function button(label, aria, act, pressed) {
    const el = make("button", { type: "button", className: "io-btn quiet", onclick: act }, label);
    el.setAttribute("aria-label", aria);
    if (pressed !== undefined) el.setAttribute("aria-pressed", String(pressed));
    return el;
  }
  function row(place, view, landing) {
    const line = make("div", { className: "io-view" }), pinned = view.name === landing;
    const open = make("button", { type: "button", className: "io-choice grow el", title: view.address, onclick: () => { iops.closeMenus(); iops.openView(view.address); } }, view.name);
    line.append(
      open,
      button(pinned ? "Start ✓" : "Start", "Start with " + view.name, () => order(place, { action: "pin", name: view.name }, pinned ? "The dashboard starts with Now" : "The dashboard starts with " + view.name), pinned),
      button("Delete", "Delete " + view.name, () => order(place, { action: "delete", name: view.name }, view.name + " deleted")),
    );
    return line;
  }
  function draw(place, kept) {
    const form = make("form", { className: "io-view" }), field = make("input", { type: "text", maxLength: 60, required: true, placeholder: "Name of this view" });
    field.setAttribute("aria-label", "Name of this view");
    form.append(field, make("button", { type: "submit", className: "io-btn pri" }, "Save"));
    form.onsubmit = (event) => {
      event.preventDefault();
      order(place, { action: "save", name: field.value, address: location.pathname + location.search }, field.value.trim() + " saved");
    };
    place.replaceChildren(form, ...kept.views.map((view) => row(place, view, kept.landing)));
  }
  iops.openView = function (address) { const url = new URL(address, location.origin); iops.navigate(url.pathname, url.searchParams); };
  document.addEventListener("toggle", async (event) => {
    const place = event.target.open && event.target.querySelector("#io-views");
    if (!place) return;
    const kept = await send();
    if (kept) { draw(place, kept); place.querySelector("input").focus(); }
  }, true);
})();
