"use strict";
// The interactive charts: the same data that the drawn ones show, with zoom, values and a log scale.

const FAR = 0.08; // of what is in sight: a point farther from the cursor is not its value

function ink(role) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + role).trim();
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e5) return value.toExponential(2).replace(/\.?0*e\+?/, "e").replace("-", "−");
  if (size >= 1e3) return value.toFixed(0).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/** Makes places differ that are the same, so that no point hides another. */
function apart(xs) {
  const least = (xs[xs.length - 1] - xs[0]) * 1e-9 || 1e-9;
  let last = -Infinity;
  return xs.map((x) => (last = x > last ? x : last + least));
}

/** The point of a series that is nearest to the cursor, or null where none is near. */
function nearest(plot, series, index, x) {
  const xs = plot.data[0], ys = plot.data[series];
  let left = index, right = index;
  while (left >= 0 && ys[left] == null) left -= 1;
  while (right < ys.length && ys[right] == null) right += 1;
  const far = (plot.scales.x.max - plot.scales.x.min) * FAR;
  const near = [left, right]
    .filter((i) => i >= 0 && i < ys.length && Math.abs(xs[i] - x) <= Math.max(far, gap(xs, ys, left, right)))
    .sort((a, b) => Math.abs(xs[a] - x) - Math.abs(xs[b] - x));
  return near.length ? near[0] : null;
}

/** Half of the way between two neighbours: between them one of both is always the nearest. */
function gap(xs, ys, left, right) {
  return left >= 0 && right < ys.length ? (xs[right] - xs[left]) / 2 : 0;
}

function seriesOf(line, hidden) {
  const colour = ink(line.role);
  if (line.kind === "points") {
    const few = line.x.length <= 150, size = few ? 7 : 4;
    return { label: line.name, show: !hidden, paths: () => null, stroke: colour, alpha: few ? 1 : 0.4,
             points: { show: true, size, fill: colour, stroke: colour, width: 0 } };
  }
  return { label: line.name, show: !hidden, stroke: colour, spanGaps: true, points: { show: false },
           width: { line: 2.2, dash: 1.6, thin: 1.2 }[line.kind],
           dash: line.kind === "dash" ? [7, 4] : undefined };
}

/** Round losses on a logarithmic axis: 1, 2 and 5 of every power of ten, or evenly spread in less than one. */
function logTicks(low, high) {
  const found = (parts) => {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const part of parts) ticks.push(Number((part * 10 ** power).toPrecision(3)));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  };
  for (const parts of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const ticks = found(parts);
    if (ticks.length >= 4) return ticks.length <= 10 ? ticks : ticks.filter((_, i) => i % Math.ceil(ticks.length / 8) === 0);
  }
  const step = 10 ** Math.floor(Math.log10((high - low) / 3));
  const size = [1, 2, 5, 10].map((part) => part * step).find((part) => (high - low) / part <= 6);
  const first = Math.ceil(low / size);
  return Array.from({ length: Math.floor(high / size) - first + 1 }, (_, i) => Number(((first + i) * size).toPrecision(12)));
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.host = figure.querySelector(".plot");
    this.readout = figure.querySelector(".hint");
    if (matchMedia("(pointer: coarse)").matches) this.readout.textContent = "Drag or pinch to zoom, tap twice to reset.";
    this.hint = this.readout.textContent;
    this.entries = [...figure.querySelectorAll(".legend li")];
    this.data = JSON.parse(figure.querySelector("script").textContent);
    this.log = this.data.log;
    this.zoom = null;
    this.hidden = new Set();
    this.plot = null;
    this.table = uPlot.join(this.data.lines.map((line) => [apart(line.x), line.y]));
    this.values = this.data.lines.map((_, i) => this.entries[i].querySelector(".value"));
  }

  get height() {
    return Math.round(Math.max(260, Math.min(400, this.host.clientWidth * 0.5)));
  }

  /** Draws the chart anew: in other colours, or on another scale. */
  make() {
    if (!this.host.clientWidth) return;
    if (this.plot) this.plot.destroy();
    this.figure.classList.add("live");
    this.plot = new uPlot(this.options(), this.shown(), this.host);
    this.show(this.zoom);
    touched(this);
  }

  shown() {
    if (!this.log) return this.table;
    return this.table.map((row, i) => (i ? row.map((y) => (y > 0 ? y : null)) : row));
  }

  options() {
    const axis = { stroke: ink("quiet"), font: "12px system-ui, sans-serif", ticks: { stroke: ink("rule") } };
    const words = (_, splits) => splits.map((value) => (value == null ? "" : short(value)));
    return {
      width: this.host.clientWidth, height: this.height, legend: { show: false },
      scales: {
        x: { time: false, range: (_, low, high) => (this.zoom ? this.zoom : this.data.x) },
        y: { distr: this.log ? 3 : 1, range: (_, low, high) => this.reach(low, high) },
      },
      axes: [
        { ...axis, label: this.data.unit, size: 34, labelSize: 18, labelGap: 0, labelFont: "12px system-ui, sans-serif", values: words,
          grid: { show: false }, ...(this.data.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : {}) },
        { ...axis, size: 58, values: words, grid: { stroke: ink("rule"), width: 1 },
          ...(this.log ? { splits: (_, __, low, high) => logTicks(low, high), filter: (_, splits) => splits } : {}) },
      ],
      series: [{}, ...this.data.lines.map((line, i) => seriesOf(line, this.hidden.has(i)))],
      cursor: {
        y: false, dataIdx: nearest, points: { size: 9 },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => { this.show(null); return null; } },
      },
      hooks: {
        drawAxes: [(plot) => drawBehind(plot, this.data)],
        draw: [(plot) => drawMarks(plot, this.data)],
        setCursor: [(plot) => this.tell(plot)],
        setSelect: [(plot) => this.choose(plot)],
      },
    };
  }

  /** The losses in sight: those of the whole chart, or of what is zoomed to. */
  reach(low, high) {
    const whole = this.log ? this.data.ylog : this.data.y;
    if (!this.zoom || low == null || high == null) return whole;
    if (this.log) return [low / (high / low) ** 0.06 / 1.001, high * (high / low) ** 0.06 * 1.001];
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
    return [low - margin, high + margin];
  }

  choose(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.show([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  /** Shows a stretch of the horizontal axis; all of it when null. */
  show(range) {
    this.zoom = range;
    const [min, max] = range || this.data.x;
    this.plot.setScale("x", { min, max });
  }

  /** Shows a stretch, cut to what there is. */
  widen(low, high) {
    const [first, last] = this.data.x;
    this.show(low <= first && high >= last ? null : [Math.max(low, first), Math.min(high, last)]);
  }

  /** Says aloud what the cursor is at: for keys, since a mouse would say too much. */
  speak() {
    const told = this.data.lines.map((line, i) => [line.name, this.values[i].textContent]).filter(([, value]) => value);
    this.readout.setAttribute("aria-live", "polite");
    this.readout.textContent += told.map(([name, value]) => `; ${name} ${value}`).join("");
  }

  tell(plot) {
    this.readout.setAttribute("aria-live", "off");
    const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null;
    this.values.forEach((value, i) => {
      const index = at == null ? null : plot.cursor.idxs[i + 1];
      value.textContent = index == null || this.hidden.has(i) ? "" : short(plot.data[i + 1][index]);
    });
    this.readout.textContent = at == null ? this.hint : `${this.data.unit} ${short(at)}`;
  }

  toggle(index, button) {
    const hide = !this.hidden.has(index);
    if (hide) this.hidden.add(index); else this.hidden.delete(index);
    button.setAttribute("aria-pressed", String(!hide));
    if (this.plot) this.plot.setSeries(index + 1, { show: !hide });
  }

  scale(log) {
    this.log = log;
    this.make();
  }

  resize() {
    if (!this.plot) this.make();
    else if (this.host.clientWidth && this.host.clientWidth !== this.plot.width) {
      this.plot.setSize({ width: this.host.clientWidth, height: this.height });
    }
  }
}
