// Replaces the live parts of a page when the server sends them again, and says when the server is silent. Without this script the page shows what was so when it was loaded.
"use strict";
// Seconds: the server sends its time every second or two.
const SILENT = 5;
const health = document.getElementById("health");
const silent = document.getElementById("live-silent");
const said = document.getElementById("live-said");
const live = document.getElementById("live");
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
let source = null;
let paused = false;
let held = null;
let at = health.dataset.at;
let heard = performance.now();

const parsed = (html) => {
  // The server has escaped every text; its policy runs no script that comes along.
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  return fresh;
};
const level = () => health.querySelector("[data-level]").dataset.level;
const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };
const sentence = () => live.querySelector("[data-said]")?.textContent ?? "";
const isSelected = () => {
  const selection = document.getSelection();
  return !selection.isCollapsed && live.contains(selection.anchorNode);
};
const same = (selector, attribute, each) =>
  [...live.querySelectorAll(selector)].find((other) => other.getAttribute(attribute) === each);

const show = (html) => {
  if (!live) return;
  // What somebody is marking to copy stays as it is until it is let go.
  held = isSelected() ? html : null;
  if (held !== null) return;
  const fresh = parsed(html);
  // What is open is open in the reader's page only.
  if (fresh.innerHTML.trim() === live.innerHTML.replaceAll(' open=""', "").trim()) return;
  const before = sentence();
  const focused = live.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href");
  const label = focused?.getAttribute("aria-label");
  const scrolled = [...live.querySelectorAll(".scroll")].map((each) => [each.getAttribute("aria-label"), each.scrollLeft]);
  const opened = [...live.querySelectorAll("details[id][open]")].map((each) => each.id);
  const folded = focused?.closest("summary")?.parentElement.id;
  live.replaceChildren(fresh.content);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  for (const [name, left] of scrolled) same(".scroll", "aria-label", name)?.scrollTo({ left, behavior: "instant" });
  if (href) same("a[href]", "href", href)?.focus({ preventScroll: true });
  else if (folded) document.getElementById(folded)?.querySelector("summary").focus({ preventScroll: true });
  else if (label) same("[tabindex]", "aria-label", label)?.focus({ preventScroll: true });
  // A screen reader hears a change of what is always there, not of what has just come.
  if (sentence() !== before) said.textContent = sentence();
};

const showHealth = (html) => {
  const before = level();
  health.replaceChildren(parsed(html).content);
  if (level() !== before) said.textContent = health.textContent.trim();
};
const showBeat = (time) => {
  at = time;
  heard = performance.now();
  look();
  say(level() === "bad" ? "Connected, but not all is well." : "Live.");
  const shown = document.getElementById("live-at");
  if (shown) shown.textContent = `As of ${at}.`;
};
const look = () => {
  const seconds = Math.floor((performance.now() - heard) / 1000);
  const isSilent = !paused && !document.hidden && seconds >= SILENT;
  if (isSilent) {
    silent.textContent = `No answer for ${seconds} s: this page is as of ${at}.`;
    say("Not live.");
    if (silent.hidden) said.textContent = silent.textContent;
  }
  silent.hidden = !isSilent;
};

const begin = () => {
  heard = performance.now();
  source = new EventSource(document.body.dataset.live);
  source.onmessage = (event) => show(event.data);
  source.addEventListener("health", (event) => showHealth(event.data));
  source.addEventListener("beat", (event) => showBeat(event.data));
  source.onerror = () => {
    say(source.readyState === EventSource.CLOSED
      ? "Not live: reload the page to try again."
      : "The server does not answer; trying again.");
  };
};
const end = () => {
  source?.close();
  source = null;
};
const toggle = () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) {
    end();
    say("Paused.");
  } else begin();
};

if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", toggle);
}
document.addEventListener("selectionchange", () => { if (held !== null && !isSelected()) show(held); });
// A browser has six connections to a server: pages that nobody sees would keep the seventh from loading.
document.addEventListener("visibilitychange", () => {
  if (paused) return;
  end();
  if (!document.hidden) begin();
});
setInterval(look, 1000);
if (!document.hidden) begin();
