// Before the first paint, so that a dark page does not flash white.
document.documentElement.classList.add("js");
try {
  const kept = localStorage.getItem("colours");
  if (kept) document.documentElement.dataset.colours = kept;
} catch { /* a page of a folder may have no storage */ }
