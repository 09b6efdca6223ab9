// Replaces the live part of a page when the server sends it again. Without this script the page shows what was so when it was loaded.
"use strict";
const live = document.getElementById("live");
if (live) {
  const said = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  let source = null;
  let last = null;

  const show = (html) => {
    if (html === last) return;
    last = html;
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const href = focused && focused.getAttribute("href");
    const label = focused && focused.getAttribute("aria-label");
    // The server has escaped every text; its policy runs no script that comes along.
    live.innerHTML = html;
    if (!focused) return;
    const same = [...live.querySelectorAll("a[href], [tabindex]")].find(
      (each) => (href && each.getAttribute("href") === href) || (label && each.getAttribute("aria-label") === label),
    );
    if (same) same.focus({ preventScroll: true });
  };

  const begin = () => {
    source = new EventSource(live.dataset.live);
    source.onopen = () => { said.textContent = "Live."; };
    source.onmessage = (event) => show(event.data);
    source.onerror = () => {
      said.textContent = source.readyState === EventSource.CLOSED
        ? "Not live: reload the page to try again."
        : "The worker does not answer; trying again.";
    };
    pause.textContent = "Pause";
  };
  const end = () => {
    source.close();
    source = null;
    said.textContent = "Paused.";
    pause.textContent = "Go on";
  };

  pause.hidden = false;
  pause.addEventListener("click", () => (source ? end() : begin()));
  begin();
}
