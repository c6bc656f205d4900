/* The one way in for live data: socket (or polling while it is down) -> the store "shell-live", at most twice a second,
   at most a third of the time under way (a slow server), never while a refresh is under way, never in a hidden tab, not when paused or at a past time. */
(function () {
  "use strict";
  const iops = (window.iops = window.iops || {});
  const AT_MOST_EVERY = 500, POLL_FROM = 2000, POLL_TO = 30000, RETRY_FROM = 1000, RETRY_TO = 30000, STUCK = 15000, HOLD = 5000, BEAT = 240000;
  let seq = 0, pending = null, last = 0, timer = null, transport = "connecting", inFlight = 0, busySince = 0, took = 0, missed = 0, pushed = false;

  const real = window.fetch; // counts callbacks under way, so that a slow server is never asked twice
  window.fetch = function (what, how) {
    const url = typeof what === "string" ? what : what.url || "";
    if (!url.includes("_dash-update-component")) return real.call(this, what, how);
    if (inFlight++ === 0) busySince = Date.now();
    return real.call(this, what, how).finally(() => { inFlight -= 1; if (inFlight === 0) idle(); });
  };
  function idle() { // what a person asked for is news enough: the next refresh counts from here
    took += (Date.now() - busySince - took) / 2; // one slow answer does not slow the next seconds
    if (!pushed) last = Date.now();
    pushed = false;
    plan();
  }
  const busy = () => inFlight > 0 && Date.now() - busySince < STUCK;
  // A list holds still while the pointer rests on its buttons, so that a click never lands on another row; not for ever.
  let heldSince = 0;
  document.addEventListener("pointerover", (e) => {
    const on = e.pointerType === "mouse" && e.target.closest && e.target.closest("[data-row] .act, [data-row] .io-ava");
    heldSince = on ? heldSince || Date.now() : 0;
    if (!on) plan();
  });
  const held = () => heldSince > 0 && Date.now() - heldSince < HOLD;
  const mode = () => document.documentElement.dataset.mode || "live";

  function say(state) {
    transport = state;
    const words = { socket: "", polling: "polling", down: "offline, trying again", connecting: "" }[state] || "";
    const badge = document.getElementById("shell-trust");
    if (badge) { badge.dataset.transport = words; badge.title = "Live updates: " + (words || state); }
    document.documentElement.dataset.transport = state;
  }
  function arrived(message) {
    const news = message.seq > seq;
    seq = Math.max(seq, message.seq);
    if (!news || !message.count) return;
    document.dispatchEvent(new CustomEvent("iops-change", { detail: message })); // also in a hidden tab
    pending = pending || { kinds: [], keys: [], count: 0 };
    pending.count += message.count;
    for (const name of ["kinds", "keys"]) for (const item of message[name] || []) if (pending[name].length < 50 && !pending[name].includes(item)) pending[name].push(item);
    const note = document.getElementById("io-waiting");
    if (note) note.textContent = pending.count === 1 ? "1 change waits" : pending.count.toLocaleString("en") + " changes wait";
    plan();
  }
  function plan() {
    if (!pending || timer || mode() !== "live" || document.hidden) return;
    timer = setTimeout(() => { timer = null; push(false); }, Math.max(0, last + Math.min(Math.max(AT_MOST_EVERY, 2 * took), STUCK) - Date.now()));
  }
  function push(forced) {
    if (!forced && (mode() !== "live" || document.hidden || busy() || held() || !pending)) return;
    const page = document.getElementById("shell-page");
    if (!page || !page.firstChild) return; // Dash is still starting; plan() comes again
    const news = pending || { kinds: [], keys: [], count: 0 };
    pending = null;
    last = Date.now();
    pushed = true;
    if (window.dash_clientside && window.dash_clientside.set_props) window.dash_clientside.set_props("shell-live", { data: { seq, kinds: news.kinds, keys: news.keys, at: last } });
  }
  iops.pulse = push;
  iops.modeChanged = (now) => { if (now === "live") plan(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) plan(); });
  setInterval(plan, 2000); // also after a stuck refresh

  let retry = RETRY_FROM, poll = null, refused = 0;
  const ticketed = document.querySelector('meta[name="io-push"]') !== null;
  async function address() { // on AWS the WebSocket of API Gateway, opened by a ticket; where that fails, this server's own
    if (ticketed && refused < 2) {
      try {
        const answer = await real("/live/ticket");
        const given = answer.ok ? await answer.json() : null;
        if (given) return given.url + "?ticket=" + encodeURIComponent(given.ticket);
      } catch (e) { /* offline: the own socket says so */ }
    }
    return location.origin.replace(/^http/, "ws") + "/live";
  }
  function begun(message) { // says where the feed is; what we missed while away counts
    missed = seq ? message.seq - seq : 0;
    if (!seq) seq = message.seq;
    if (missed > 0) message.count = missed;
    retry = RETRY_FROM;
    refused = 0;
    clearTimeout(poll);
    say("socket");
  }
  async function connect() {
    const url = await address(), elsewhere = ticketed && url.includes("?ticket=");
    let socket;
    try { socket = new WebSocket(url); } catch (e) { refused += 1; setTimeout(connect, retry); return; }
    let beat = null;
    socket.onopen = async () => {
      if (!elsewhere) return; // our own server speaks first
      beat = setInterval(() => socket.send("ping"), BEAT);
      try {
        const message = await (await real("/live/poll?after=" + seq)).json();
        if (transport !== "socket") begun(message);
        arrived(message);
      } catch (e) { socket.close(); }
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.seq === undefined) return; // a pong
      if (transport !== "socket") begun(message);
      arrived(message);
    };
    socket.onclose = () => {
      clearInterval(beat);
      if (elsewhere && transport !== "socket") refused += 1;
      if (transport === "socket" || transport === "connecting") { say("polling"); ask(POLL_FROM); }
      setTimeout(connect, retry * (0.5 + Math.random()));
      retry = Math.min(retry * 2, RETRY_TO);
    };
    socket.onerror = () => socket.close();
  }
  function ask(wait) {
    clearTimeout(poll);
    poll = setTimeout(async () => {
      if (transport === "socket") return;
      let next = POLL_FROM;
      try {
        const answer = await real("/live/poll?after=" + seq);
        if (!answer.ok) throw new Error(String(answer.status));
        say("polling");
        const message = await answer.json();
        if (!seq) seq = message.seq;
        arrived(message);
      } catch (e) { say("down"); next = Math.min(wait * 2, POLL_TO); }
      ask(next);
    }, wait);
  }
  async function stood() { // where the feed stood when the page was asked for: the socket elsewhere takes a while to open
    try {
      const message = await (await real("/live/poll")).json();
      if (!seq) seq = message.seq;
    } catch (e) { /* the socket says so */ }
  }
  if (ticketed) stood();
  connect();
})();
