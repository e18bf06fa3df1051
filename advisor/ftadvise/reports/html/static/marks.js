"use strict";
// What is drawn on a chart besides its curves: bands, marked places and marked points.

function within(plot, draw) {
  const { left, top, width, height } = plot.bbox;
  plot.ctx.save();
  plot.ctx.beginPath();
  plot.ctx.rect(left, top, width, height);
  plot.ctx.clip();
  draw(plot.ctx, left, top, width, height);
  plot.ctx.restore();
}

function drawBehind(plot, data) {
  within(plot, (pen, left, top, width, height) => {
    for (const mark of data.uprights) {
      if (mark.low == null) continue;
      const start = plot.valToPos(mark.low, "x", true), end = plot.valToPos(mark.high, "x", true);
      pen.globalAlpha = 0.12;
      pen.fillStyle = ink(mark.role);
      pen.fillRect(start, top, end - start, height);
    }
    for (const band of data.bands) {
      pen.globalAlpha = 0.18;
      pen.fillStyle = ink(band.role);
      pen.beginPath();
      trace(plot, pen, band.x, band.high, 1);
      trace(plot, pen, band.x, band.low, -1);
      pen.closePath();
      pen.fill();
    }
  });
}

/** Goes along a curve, forwards or backwards; what a log scale does not have lies at its foot. */
function trace(plot, pen, xs, ys, way) {
  const foot = plot.scales.y.min;
  for (let k = 0; k < xs.length; k += 1) {
    const i = way > 0 ? k : xs.length - 1 - k;
    const y = plot.scales.y.distr === 3 && ys[i] <= 0 ? foot : ys[i];
    pen.lineTo(plot.valToPos(xs[i], "x", true), plot.valToPos(y, "y", true));
  }
}

/** Draws the marked places, with labels in as many rows as they need, and the marked points. */
function drawMarks(plot, data) {
  const ratio = uPlot.pxRatio;
  within(plot, (pen, left, top, width, height) => {
    const free = { top: [-Infinity, -Infinity, -Infinity], foot: [-Infinity, -Infinity, -Infinity] };
    pen.textAlign = "left";
    pen.font = `${12 * ratio}px system-ui, sans-serif`;
    for (const mark of [...data.uprights].sort((a, b) => a.x - b.x)) {
      const x = plot.valToPos(mark.x, "x", true);
      if (x < left || x > left + width) continue;
      pen.strokeStyle = pen.fillStyle = ink(mark.role);
      pen.lineWidth = 1.4 * ratio;
      pen.setLineDash((mark.foot ? [2, 3] : [5, 3]).map((part) => part * ratio));
      pen.beginPath();
      pen.moveTo(x, top);
      pen.lineTo(x, top + height);
      pen.stroke();
      const wide = pen.measureText(mark.label).width, aside = 5 * ratio;
      const start = x + wide + aside > left + width ? Math.max(left + aside, x - wide - aside) : x + aside;
      const rows = free[mark.foot ? "foot" : "top"], row = rows.findIndex((end) => start > end);
      if (row < 0) continue;
      rows[row] = start + wide + 6 * ratio;
      pen.textBaseline = mark.foot ? "bottom" : "top";
      const at = mark.foot ? top + height - (4 + 15 * row) * ratio : top + (3 + 15 * row) * ratio;
      pen.setLineDash([]);
      pen.lineJoin = "round";
      pen.lineWidth = 3 * ratio;
      pen.strokeStyle = ink("page");
      pen.strokeText(mark.label, start, at);
      pen.fillText(mark.label, start, at);
    }
    for (const dot of data.dots) {
      if (plot.scales.y.distr === 3 && dot.y <= 0) continue;
      pen.fillStyle = ink(dot.role);
      pen.beginPath();
      pen.arc(plot.valToPos(dot.x, "x", true), plot.valToPos(dot.y, "y", true), 5.5 * ratio, 0, 2 * Math.PI);
      pen.fill();
    }
  });
}
