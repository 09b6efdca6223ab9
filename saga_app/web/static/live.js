// Replaces the live part of a page when the server sends it again. Without this script the page shows what was so when it was loaded.
"use strict";
const live = document.getElementById("live");
if (live) {
  const state = document.getElementById("live-state");
  const said = document.getElementById("live-said");
  const pause = document.getElementById("live-pause");
  let source = null;
  let paused = false;
  let held = null;

  const sentence = () => live.querySelector("[data-said]")?.textContent ?? "";
  const isSelected = () => {
    const selection = document.getSelection();
    return !selection.isCollapsed && live.contains(selection.anchorNode);
  };
  const same = (selector, attribute, each) =>
    [...live.querySelectorAll(selector)].find((other) => other.getAttribute(attribute) === each);

  const show = (html) => {
    // What somebody is marking to copy stays as it is until it is let go.
    held = isSelected() ? html : null;
    if (held !== null) return;
    // The server has escaped every text; its policy runs no script that comes along.
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    if (fresh.innerHTML.trim() === live.innerHTML.trim()) return;
    const before = sentence();
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const href = focused?.getAttribute("href");
    const label = focused?.getAttribute("aria-label");
    const scrolled = [...live.querySelectorAll(".scroll")].map((each) => [each.getAttribute("aria-label"), each.scrollLeft]);
    live.replaceChildren(fresh.content);
    for (const [name, left] of scrolled) same(".scroll", "aria-label", name)?.scrollTo({ left, behavior: "instant" });
    if (href) same("a[href]", "href", href)?.focus({ preventScroll: true });
    else if (label) same("[tabindex]", "aria-label", label)?.focus({ preventScroll: true });
    // A screen reader hears a change of what is always there, not of what has just come.
    if (sentence() !== before) said.textContent = sentence();
  };

  const begin = () => {
    source = new EventSource(live.dataset.live);
    source.onopen = () => { state.textContent = "Live."; };
    source.onmessage = (event) => show(event.data);
    source.onerror = () => {
      state.textContent = source.readyState === EventSource.CLOSED
        ? "Not live: reload the page to try again."
        : "The worker does not answer; trying again.";
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
      state.textContent = "Paused.";
    } else begin();
  };

  pause.hidden = false;
  pause.addEventListener("click", toggle);
  document.addEventListener("selectionchange", () => { if (held !== null && !isSelected()) show(held); });
  // A browser has six connections to a server: pages that nobody sees would keep the seventh from loading.
  document.addEventListener("visibilitychange", () => {
    if (paused) return;
    end();
    if (!document.hidden) begin();
  });
  if (!document.hidden) begin();
}
