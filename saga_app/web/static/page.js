// What every page has: keys, the reader's view, and buttons that copy. Without this script all pages work, with the mouse and Tab.
"use strict";
const view = document.getElementById("view");
const keys = document.getElementById("keys");
const keysOn = document.getElementById("keys-on");
const YEAR = 31_536_000;

// The reader's view. The server reads the cookies, so that no page comes in the wrong colours first.
const cookie = (name) => document.cookie.split("; ").find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
const remember = (name, value) => {
  document.cookie = `${name}=${value}; path=/; max-age=${value ? YEAR : 0}; samesite=lax`;
};
const choose = (select) => {
  const { cookie: name, attribute } = select.dataset;
  remember(name, select.value);
  if (attribute === undefined) location.reload();
  else if (select.value) document.documentElement.dataset[attribute] = select.value;
  else delete document.documentElement.dataset[attribute];
};
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const select of view.querySelectorAll("select")) {
  const known = cookie(select.dataset.cookie);
  if (select.dataset.cookie === "saga_zone") {
    for (const name of new Set([zone, known].filter((each) => each && each !== "UTC"))) select.add(new Option(name, name));
  }
  select.value = known;
  select.addEventListener("change", () => choose(select));
}
view.hidden = false;

// Keys. Who dictates to the machine can switch them off.
keysOn.checked = localStorage.getItem("saga-keys") !== "off";
keysOn.addEventListener("change", () => localStorage.setItem("saga-keys", keysOn.checked ? "on" : "off"));
document.getElementById("keys-show").addEventListener("click", () => keys.showModal());
const isTyping = (target) => target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
const rows = () => [...document.querySelectorAll("main tbody tr")].filter((each) => each.querySelector("th a")?.checkVisibility());
const move = (by) => {
  const all = rows();
  const at = all.findIndex((each) => each.contains(document.activeElement));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
  next?.querySelector("th a").focus();
  next?.scrollIntoView({ block: "nearest" });
};
const search = () => {
  const field = document.querySelector("main input[type=search]") ?? document.querySelector("[data-find]");
  field.focus();
  field.select();
};
const DO = { "/": search, j: () => move(1), k: () => move(-1), "?": () => keys.showModal() };
document.addEventListener("keydown", (event) => {
  if (!keysOn.checked || event.ctrlKey || event.metaKey || event.altKey || keys.open || isTyping(event.target)) return;
  const act = DO[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// Buttons that copy; and the box that marks all rows.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy || location.href;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
});
const ready = (part) => {
  for (const button of part.querySelectorAll("[data-copy]")) {
    button.dataset.label ??= button.textContent;
    button.hidden = false;
  }
};
ready(document);
new MutationObserver(() => ready(document)).observe(document.querySelector("main"), { childList: true, subtree: true });
for (const all of document.querySelectorAll("[data-all]")) {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const box of all.form.querySelectorAll("tbody input[type=checkbox]")) box.checked = all.checked;
  });
}
// The bar of a chart under the pointer, in words below it. The same numbers are in the table.
document.addEventListener("pointerover", (event) => {
  const column = event.target.closest?.("[data-numbers]");
  if (column) column.closest("figure").querySelector(".said").textContent = column.dataset.numbers;
});
