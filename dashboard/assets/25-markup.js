/* Draws what markup.py hands over: nested [tag, attributes, child, ...] as React elements, "graph" as a Plotly figure.
   React compares with what stands there: only what differs is touched, so focus, scroll, menus and pointers outlive a refresh. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});

  /* ---- figures: those in sight at once, the others when the browser has time; equal ones not at all ---- */
  const waiting = new Set(), PATIENCE = 200, ENOUGH = 10; // milliseconds: until it is done anyway, that must be left for one more
  let planned = false;
  const idle = window.requestIdleCallback ? (act) => window.requestIdleCallback(act, { timeout: PATIENCE }) : (act) => setTimeout(() => act({ timeRemaining: () => 0 }), 50);
  function plan() {
    if (planned || !waiting.size || !window.Plotly) return;
    planned = true;
    idle((left) => {
      planned = false;
      do { const [draw] = waiting; draw(); } while (waiting.size && left.timeRemaining() > ENOUGH);
      plan();
    });
  }
  document.addEventListener("iops-plotly", () => { for (const draw of [...waiting]) if (inSight(draw.at)) draw(); plan(); });
  function inSight(el) {
    const box = el.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight && box.width > 0;
  }
  /* One figure. What waits is drawn as it is by then: a refresh meanwhile neither loses nor delays its place in the queue. */
  function drawer(el) {
    const one = { key: "", shown: "", figure: null, config: null };
    one.draw = () => {
      if (!window.Plotly) { waiting.add(one.draw); iops.needPlotly(); return; }
      waiting.delete(one.draw);
      if (one.shown === one.key) return;
      one.shown = one.key;
      try { window.Plotly.react(el, one.figure.data, one.figure.layout, Object.assign({}, one.config, { responsive: false })); }
      catch (e) { console.error("a figure could not be drawn", e); } // the page around it stays
    };
    one.draw.at = el;
    one.fit = new ResizeObserver(() => {
      const width = el._fullLayout && el._fullLayout.width;
      if (width && el.clientWidth && Math.abs(width - el.clientWidth) > 1) window.Plotly.Plots.resize(el);
    });
    one.fit.observe(el);
    one.end = () => { waiting.delete(one.draw); one.fit.disconnect(); if (window.Plotly) window.Plotly.purge(el); };
    return one;
  }
  function Graph({ figure, config, style, className, id }) {
    const { useRef, useLayoutEffect, createElement } = window.React;
    const at = useRef(null), mine = useRef(null);
    const key = JSON.stringify(figure);
    useLayoutEffect(() => {
      if (!mine.current) mine.current = drawer(at.current);
      Object.assign(mine.current, { key, figure, config });
      if (inSight(at.current)) mine.current.draw();
      else if (window.Plotly) { waiting.add(mine.current.draw); plan(); }
      else mine.current.draw(); // waits with the others
    }, [key]);
    useLayoutEffect(() => () => mine.current.end(), []);
    return createElement("div", { ref: at, id, style, className });
  }

  /* The table behind a chart: empty until it is first shown, as most never are and a page holds hundreds of their cells. */
  function Later({ attributes, rows }) {
    const { useRef, useState, useLayoutEffect, createElement } = window.React;
    const at = useRef(null), [wanted, want] = useState(false);
    useLayoutEffect(() => {
      const look = () => { if (at.current.closest(".show-table")) want(true); };
      look();
      document.addEventListener("iops-table", look);
      return () => document.removeEventListener("iops-table", look);
    }, []);
    return createElement("table", Object.assign({ ref: at }, attributes), ...(wanted ? rows.map(element) : []));
  }

  function element(node) {
    if (!Array.isArray(node)) return node;
    const [tag, attributes, ...children] = node;
    if (attributes["data-later"]) return window.React.createElement(Later, { attributes, rows: children, key: attributes.key });
    return window.React.createElement(tag === "graph" ? Graph : tag, attributes, ...children.map(element));
  }
  iops.Markup = ({ nodes }) => window.React.createElement(window.React.Fragment, null, ...nodes.map(element));
})();
