"use strict";
// The pages work without this: it brings news, keeps times in the reader's zone at hand, and listens to keys.
(() => {
  const one = (selector) => document.querySelector(selector);
  const kept = (name, usual) => localStorage.getItem(name) ?? usual;

  // -- news: the server says that something changed; htmx fetches the page anew and keeps the focus
  const news = one("#news"), pause = one("#pause"), live = document.body.dataset.live;
  const told = { at: 0, next: "" };
  const say = (text) => {  // a screen reader is not chattered to: one sentence in five seconds, the newest
    told.next = text;
    setTimeout(() => {
      if (told.next !== text || news.textContent === text) return;
      told.at = Date.now();
      news.textContent = text;
    }, Math.max(0, told.at + 5000 - Date.now()));
  };
  let paused = kept("paused", "no") === "yes";
  const busy = () => one("#live input:checked, #live :is(input:not([type=checkbox]), select, textarea):focus, #live details[open]");
  const refresh = () => {  // not under the hands of somebody who chooses rows, types or reads; there are news again soon
    if (live && !paused && !document.hidden && !busy()) document.body.dispatchEvent(new Event("news"));
  };
  const showPause = () => {
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on with updates" : "Pause updates";
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    localStorage.setItem("paused", paused ? "yes" : "no");
    showPause();
    say(paused ? "Updates are paused" : "Updates go on");
    refresh();
  });
  const leave = () => location.replace(location.pathname + location.search);  // to the same page, which asks to sign in; a form is not sent again
  let stream = null;
  const listen = () => {  // whatever is seen hears when its session ends; what nobody sees holds no connection: a browser has few
    if (!one(".who") || document.hidden) { stream?.close(); stream = null; return; }
    if (stream) return;
    stream = new EventSource("/live");
    stream.addEventListener("news", refresh);
    stream.addEventListener("away", () => say("The ledger is away: this page shows what it had"));
    stream.addEventListener("ended", leave);
    stream.addEventListener("error", () => {
      say("No news: the console or its ledger does not answer. This page shows what it had");
      if (stream?.readyState === EventSource.CLOSED) { stream = null; setTimeout(listen, 5000); }  // it was refused: the browser asks no more
    });
  };
  document.addEventListener("visibilitychange", () => { listen(); refresh(); });
  addEventListener("pagehide", () => { stream?.close(); stream = null; });
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(); } });  // the browser had kept it
  listen();
  document.body.addEventListener("htmx:after:request", (event) => {
    const status = event.detail.ctx?.response?.raw?.status ?? 0;
    if (status === 401) leave();
    say(status === 200 ? "The page is up to date" : "This page could not be renewed: it shows what it had");
  });

  // -- a plan of many rows takes seconds: whoever asked for it is told that it is being made
  document.addEventListener("submit", (event) => {
    event.submitter?.setAttribute("aria-busy", "true");
    say("One moment: the answer is being made");
  });
  addEventListener("pageshow", () => document.querySelectorAll("[aria-busy]").forEach((each) => each.removeAttribute("aria-busy")));

  // -- times
  const local = (root) => root.querySelectorAll("time[datetime]").forEach((each) => {
    each.title = `${each.dateTime} = ${new Date(each.dateTime).toLocaleString()}`;
  });
  local(document);
  document.body.addEventListener("htmx:after:swap", () => local(document));

  // -- keys, which can be switched off
  const keys = one("#keys"), shortcuts = one("#shortcuts");
  let listening = kept("keys", "on") === "on", going = false;
  const showKeys = () => {
    keys.setAttribute("aria-pressed", String(listening));
    keys.textContent = listening ? "Shortcuts on" : "Shortcuts off";
  };
  keys.addEventListener("click", () => {
    listening = !listening;
    localStorage.setItem("keys", listening ? "on" : "off");
    showKeys();
  });
  one("#help").addEventListener("click", () => shortcuts.showModal());
  const rows = () => [...document.querySelectorAll("tbody tr[data-row]")];
  const current = () => document.activeElement?.closest?.("tr[data-row]");
  const step = (by) => {
    const all = rows(), at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
    next?.querySelector("a, input, button")?.focus();
  };
  const replay = () => {  // of the row, of the marked, or of all that match
    const row = current(), own = row?.querySelector("[data-key=r]"), marked = one("[data-key=marked]");
    const box = row?.querySelector("input[type=checkbox]");
    if (own) { own.click(); return; }
    if (marked && box && !one("#live input:checked")) box.checked = true;
    (marked && one("#live input:checked") ? marked : one("[data-key=r]"))?.click();
  };
  const act = {
    "/": () => (one("#filter") ?? one("#find")).focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => current()?.querySelector("input[type=checkbox]")?.click(),
    e: () => (current() ?? document).querySelector("a[data-key=e]")?.click(),
    r: replay,
    g: () => { going = true; setTimeout(() => { going = false; }, 1500); },
    "?": () => shortcuts.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (!listening || typing || event.ctrlKey || event.altKey || event.metaKey || shortcuts.open) return;
    if (event.key === "Enter" && event.target.type === "checkbox") { current()?.querySelector("th a")?.click(); return; }
    const act_ = going ? () => one(`a[data-go="${CSS.escape(event.key)}"]`)?.click() : act[event.key];
    going = false;
    if (act_) { event.preventDefault(); act_(); }
  });
  document.querySelectorAll(".live-controls").forEach((each) => { each.hidden = false; });
  pause.hidden = !live;
  showPause();
  showKeys();
})();
