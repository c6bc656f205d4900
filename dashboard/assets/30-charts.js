/* Figures name tokens ("var(--io-d-1)"); here they get the values of the theme in force, right before Plotly draws.
   A theme switch draws again from what is in the browser: nothing is fetched, zoom stays (uirevision). */
(function () {
  "use strict";
  const AGAIN = 3000; // milliseconds after a file that did not come
  let asked = false;
  /* Plotly takes the browser most of a second to read. So the first figure asks for it, once what stands around the figure is painted;
     figures wait meanwhile (25-markup.js). The file itself is fetched from the start (dashboard/bundle.py). */
  window.iops.needPlotly = function () {
    if (asked) return;
    asked = true;
    const script = document.createElement("script");
    script.src = document.getElementById("io-plotly").href;
    script.addEventListener("load", () => { install(window.Plotly); document.dispatchEvent(new Event("iops-plotly")); });
    script.addEventListener("error", () => { script.remove(); asked = false; setTimeout(window.iops.needPlotly, AGAIN); });
    requestAnimationFrame(() => setTimeout(() => document.head.append(script), 0));
  };

  function install(original) {
    const drawn = new Map(); // element -> its figure with token names
    const TOKEN = /var\((--io-[\w-]+)\)/g;

    function values() {
      const style = getComputedStyle(document.documentElement);
      const known = new Map();
      return (name) => {
        if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim() || "#888");
        return known.get(name);
      };
    }
    function resolve(thing, value) {
      if (typeof thing === "string") return thing.includes("var(--io-") ? thing.replace(TOKEN, (_, name) => value(name)) : thing;
      if (Array.isArray(thing)) return typeof thing[0] === "number" && typeof thing[1] !== "string" ? thing : thing.map((item) => resolve(item, value));
      if (thing && typeof thing === "object" && Object.getPrototypeOf(thing) === Object.prototype) {
        const copy = {};
        for (const key in thing) copy[key] = resolve(thing[key], value);
        return copy;
      }
      return thing;
    }
    const element = (gd) => (typeof gd === "string" ? document.getElementById(gd) : gd);

    function draw(method, gd, data, layout, config) {
      const figure = data && !Array.isArray(data) && data.data ? data : { data, layout, config };
      drawn.set(element(gd), figure);
      return original[method](gd, resolve(Object.assign({}, figure), values()));
    }
    window.Plotly = Object.assign(Object.create(original), original, {
      newPlot: (gd, data, layout, config) => draw("newPlot", gd, data, layout, config),
      react: (gd, data, layout, config) => draw("react", gd, data, layout, config),
      purge: (gd) => { drawn.delete(element(gd)); return original.purge(gd); },
    });

    document.addEventListener("iops-theme", () => {
      for (const [gd, figure] of drawn) {
        if (!gd || !gd.isConnected) drawn.delete(gd);
        else original.react(gd, resolve(Object.assign({}, figure), values()));
      }
    });
  }
})();
