/* Draws what markup.py hands over: nested [tag, attributes, child, ...] as React elements, "graph" as a Plotly figure.
   React compares with what stands there: only what differs is touched, so focus, scroll, menus and pointers outlive a refresh. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});

  /* ---- figures: those in sight at once, the others when the browser has time; equal ones not at all ---- */
  const waiting = new Set();
  let planned = false;
  const idle = window.requestIdleCallback ? (act) => window.requestIdleCallback(act, { timeout: 500 }) : (act) => setTimeout(act, 50);
  function plan() {
    if (planned || !waiting.size) return;
    planned = true;
    idle(() => {
      planned = false;
      const [act] = waiting;
      waiting.delete(act);
      act();
      plan();
    });
  }
  function inSight(el) {
    const box = el.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight && box.width > 0;
  }
  function Graph({ figure, config, style, className, id }) {
    const { useRef, useLayoutEffect, createElement } = window.React;
    const at = useRef(null), shown = useRef("");
    const key = JSON.stringify(figure);
    useLayoutEffect(() => {
      if (shown.current === key) return undefined;
      const el = at.current;
      const draw = () => {
        waiting.delete(draw);
        shown.current = key;
        window.Plotly.react(el, figure.data, figure.layout, Object.assign({}, config, { responsive: false }));
      };
      if (inSight(el)) draw();
      else { waiting.add(draw); plan(); }
      return () => waiting.delete(draw);
    }, [key]);
    useLayoutEffect(() => {
      const el = at.current;
      const fit = new ResizeObserver(() => {
        const width = el._fullLayout && el._fullLayout.width;
        if (width && el.clientWidth && Math.abs(width - el.clientWidth) > 1) window.Plotly.Plots.resize(el);
      });
      fit.observe(el);
      return () => { fit.disconnect(); window.Plotly.purge(el); };
    }, []);
    return createElement("div", { ref: at, id, style, className });
  }

  function element(node) {
    if (!Array.isArray(node)) return node;
    const [tag, attributes, ...children] = node;
    return window.React.createElement(tag === "graph" ? Graph : tag, attributes, ...children.map(element));
  }
  iops.Markup = ({ nodes }) => window.React.createElement(window.React.Fragment, null, ...nodes.map(element));
})();
