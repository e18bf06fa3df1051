// Menu on a phone, light and dark, copying, and a search that needs no server.
const root = document.documentElement;
const get = (id) => document.getElementById(id);

get("menu").addEventListener("click", () => {
  const open = get("pages").classList.toggle("open");
  get("menu").setAttribute("aria-expanded", String(open));
});

get("colours").addEventListener("click", () => {
  const now = root.dataset.colours || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.colours = now === "dark" ? "light" : "dark";
  try { localStorage.setItem("colours", root.dataset.colours); } catch { /* no storage */ }
});

for (const block of document.querySelectorAll("main pre")) {
  const button = document.createElement("button");
  button.textContent = "copy";
  button.className = "copy";
  button.addEventListener("click", async () => {
    const text = block.querySelector("code").textContent;
    // Of a console only what was typed.
    const typed = text.split("\n").filter((line) => line.startsWith("$ ")).map((line) => line.slice(2));
    await navigator.clipboard.writeText(typed.length ? typed.join("\n") : text);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  block.parentElement.classList.add("copied-from");
  block.parentElement.append(button);
}

const current = document.querySelector("nav a[aria-current]");
if (current) current.scrollIntoView({ block: "center" });
window.scrollTo(0, 0);
if (location.hash) location.replace(location.hash);

// search_index.js is a script rather than JSON: a page of a folder may not fetch, but may load scripts.
const field = get("search");
const found = get("found");
let sections = null;

function load() {
  if (sections !== null) return;
  sections = [];
  const script = document.createElement("script");
  script.src = field.dataset.index;
  script.addEventListener("load", () => {
    sections = window.searchIndex.docs.map((doc) => ({ ...doc, low: doc.text.toLowerCase(), head: doc.title.toLowerCase() }));
    show();
  });
  document.head.append(script);
}

function rank(section, words) {
  let score = 0;
  for (const word of words) {
    if (section.head.includes(word)) score += 10;
    else if (section.low.includes(word)) score += 1;
    else return 0;
  }
  return score;
}

function around(section, word) {
  const at = Math.max(0, section.low.indexOf(word) - 50);
  return (at ? "… " : "") + section.text.slice(at, at + 140).replace(/\s+/g, " ");
}

function page(section) { return section.location.split("#")[0]; }

function show() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  found.replaceChildren();
  found.hidden = !words.length;
  if (!words.length) return;
  const ranked = (sections || []).map((s) => [rank(s, words), s]).filter(([score]) => score).sort((a, b) => b[0] - a[0]);
  // The index has each page as a whole and by its sections: one of both is enough.
  const hits = ranked.filter(([, s], i) => ranked.findIndex(([, other]) => page(other) === page(s) && other.title === s.title) === i);
  for (const [, section] of hits.slice(0, 12)) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const text = document.createElement("small");
    link.href = `${field.dataset.root}/${section.location}`;
    link.textContent = section.title;
    text.textContent = around(section, words[0]);
    link.append(text);
    item.append(link);
    found.append(item);
  }
  if (!hits.length) found.append(Object.assign(document.createElement("li"), { textContent: "Nothing found." }));
}

field.addEventListener("focus", load);
field.addEventListener("input", () => { load(); show(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { event.preventDefault(); field.focus(); }
  if (event.key === "Escape") { field.value = ""; show(); }
});
document.addEventListener("click", (event) => { if (!event.target.closest(".search")) found.hidden = true; });
