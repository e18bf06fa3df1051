"use strict";
// Fingers and keys on a chart: one finger chooses what to zoom to, two pinch, arrows go from value to value.

function touched(chart) {
  const plot = chart.plot, over = plot.over, fingers = new Map();
  let start = null, pinch = null, lastTap = 0;
  const at = (event) => event.clientX - over.getBoundingClientRect().left;

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 1) start = at(event);
    if (fingers.size === 2) {
      start = null;
      pinch = [...fingers.values()].map((x) => plot.posToVal(x, "x")).sort((a, b) => a - b);
      plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }
  });
  over.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, at(event));
    if (pinch && fingers.size === 2) return squeeze();
    if (start == null) return;
    const left = Math.max(0, Math.min(start, at(event)));
    const right = Math.min(over.clientWidth, Math.max(start, at(event)));
    plot.setSelect({ left, top: 0, width: right - left, height: over.clientHeight }, false);
  });
  over.addEventListener("pointerup", (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (start != null && Math.abs(at(event) - start) >= 12) chart.choose(plot);
    else if (start != null && event.timeStamp - lastTap < 350) chart.show(null);
    else if (start != null) {
      lastTap = event.timeStamp;
      plot.setCursor({ left: at(event), top: over.clientHeight / 2 });
    }
    start = null;
    if (fingers.size < 2) pinch = null;
  });
  over.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    start = pinch = null;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  });

  /** Keeps under both fingers the values that were there when they came down. */
  function squeeze() {
    const [a, b] = [...fingers.values()].sort((one, other) => one - other);
    if (b - a < 10) return;
    const per = (pinch[1] - pinch[0]) / (b - a);
    chart.widen(pinch[0] - a * per, pinch[0] + (over.clientWidth - a) * per);
  }
}

function keyed(chart) {
  chart.host.addEventListener("keydown", (event) => {
    const plot = chart.plot;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const { min, max } = plot.scales.x, step = (max - min) / 60;
    const x = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : (min + max) / 2;
    const ways = {
      ArrowLeft: () => point(chart, Math.max(min, x - step)),
      ArrowRight: () => point(chart, Math.min(max, x + step)),
      "+": () => chart.show([x - (x - min) / 2, x + (max - x) / 2]),
      "-": () => chart.widen(x - (x - min) * 2, x + (max - x) * 2),
      Escape: () => chart.show(null),
    };
    if (!ways[event.key]) return;
    ways[event.key]();
    event.preventDefault();
  });
}

/** Puts the cursor at a place, and says what is there. */
function point(chart, x) {
  const plot = chart.plot;
  plot.setCursor({ left: plot.valToPos(x, "x"), top: plot.over.clientHeight / 2 });
  chart.speak();
}
