"use strict";
// What the page does with a script: charts come alive, tables sort, text is copied, paper opens all.

(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function button(text) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    return made;
  }

  function alive(figure) {
    const chart = new Chart(figure);
    chart.host.tabIndex = 0;
    chart.host.setAttribute("role", "group");
    chart.host.setAttribute("aria-label", `${chart.data.said} Arrow keys read values, plus zooms in, Escape shows all.`);
    chart.data.lines.forEach((line, i) => {
      const made = button(line.name); // the name itself stays for paper
      made.setAttribute("aria-pressed", "true");
      made.addEventListener("click", () => chart.toggle(i, made));
      chart.entries[i].querySelector(".name").after(made);
    });
    for (const one of all("[data-log]", figure)) {
      one.addEventListener("click", () => {
        chart.scale(!chart.log);
        one.setAttribute("aria-pressed", String(chart.log));
      });
    }
    for (const one of all("[data-reset]", figure)) one.addEventListener("click", () => chart.plot && chart.show(null));
    keyed(chart);
    new ResizeObserver(() => requestAnimationFrame(() => chart.resize())).observe(figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.plot && chart.make());
    chart.make();
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // only a page of a safe origin may write there
      const area = document.createElement("textarea");
      area.className = "skip";
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function said(one, text) {
    one.dataset.name ??= one.textContent;
    one.textContent = text;
    setTimeout(() => { one.textContent = one.dataset.name; }, 1500);
  }

  function download(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text + "\n"], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const answer = () => JSON.stringify(JSON.parse(document.getElementById("answer-data").textContent), null, 2);

  function key(row, column) {
    const cell = row.cells[column], text = cell ? cell.textContent.trim() : "";
    const number = cell && cell.classList.contains("number") ? parseFloat(text) : NaN; // a name may begin with digits
    return Number.isNaN(number) ? text : number;
  }

  function sort(table, column, falling) {
    const body = table.tBodies[0], way = falling ? -1 : 1;
    const compare = (a, b) => {
      const [one, other] = [key(a, column), key(b, column)];
      if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
      return way * (typeof one === "number" ? one - other : one.localeCompare(other, "en", { numeric: true }));
    };
    body.append(...[...body.rows].sort(compare));
  }

  function sortable(table) {
    const heads = all("thead th", table);
    table.classList.add("sorted");
    heads.forEach((head, column) => {
      const word = document.createElement("span"), made = button(head.textContent);
      word.className = "word"; // stays for paper
      word.textContent = head.textContent;
      head.replaceChildren(word, made);
      made.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        sort(table, column, falling);
      });
    });
  }

  function opened() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }

  all("figure.chart").forEach(alive);
  all("[data-sortable]").forEach(sortable);
  all("[hidden]").forEach((one) => { one.hidden = false; });
  all("[data-copy]").forEach((one) => one.addEventListener("click", async () => {
    const source = document.getElementById(one.dataset.copy);
    await copy(one.dataset.copy === "answer-data" ? answer() : source.textContent.trimEnd());
    said(one, "Copied");
  }));
  all("[data-download]").forEach((one) => one.addEventListener("click", () => download(one.dataset.download, answer())));

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
  addEventListener("hashchange", opened);
  opened();
})();
