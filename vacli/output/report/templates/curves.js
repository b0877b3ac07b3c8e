// The curves of valence and arousal over time, and the cursor on them.

const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["surface", "text", "minor", "grid", "zero", "cursor", "hatch", "line", "shade-visual",
    "shade-audio", "shade-none", "face-0", "face-1", "face-2", "face-3", "face-4", "face-5"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
}

const colourOf = (face) => colours["face-" + (face.index % 6)];
// Faces after the sixth have the same colours again and dashed lines.
const dashOf = (face) => (face.index < 6 ? [] : [6, 3]);

// A context in CSS pixels for a canvas of the size at which it is shown.
function fit(canvas) {
  const scale = Math.max(window.devicePixelRatio || 1, isPrinting ? 3 : 1);
  const box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * scale), height = Math.round(box.height * scale);
  const context = canvas.getContext("2d");
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, box.width, box.height);
  return { context, width: box.width, height: box.height };
}

const hasStrips = faces.length > 1;  // the shading of the charts is that of one face
const FONT = "12px system-ui, sans-serif";
const LEFT = 34, RIGHT = 8, TOP = 18, GAP = 24, STRIP = 9, AXIS = 22;
let isPrinting = false;

// Places of the two charts and the strips of modality, in CSS pixels.
function layout(width, height) {
  const strips = hasStrips ? faces.length * (STRIP + 2) + 6 : 0;
  const chart = Math.max((height - TOP - GAP - strips - AXIS) / 2, 40);
  return {
    width, height, left: LEFT, right: width - RIGHT, chart,
    tops: [TOP, TOP + chart + GAP],
    strips: TOP + 2 * chart + GAP + 6,
    axis: height - AXIS,
  };
}

const xOf = (at, time) => at.left + ((time - state.start) / (state.end - state.start)) * (at.right - at.left);
const timeOf = (at, x) => state.start + ((x - at.left) / (at.right - at.left)) * (state.end - state.start);
const yOf = (at, side, value) => at.tops[side] + ((1 - value) / 2) * at.chart;

function shade(context, name, x, y, width, height) {
  if (name === "audiovisual" || name === "unknown") return;
  if (name === "no frames") {
    shadeGap(context, x, y, width, height);
    return;
  }
  context.fillStyle = colours["shade-" + name];
  context.fillRect(x, y, width, height);
  if (name === "visual") return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colours.hatch;
  context.globalAlpha = name === "none" ? 0.6 : 0.45;
  context.lineWidth = 1;
  const step = name === "none" ? 7 : 9;
  context.beginPath();
  for (let at = Math.floor((x - height) / step) * step; at < x + width; at += step) {
    if (name === "none") { context.moveTo(at, y); context.lineTo(at + height, y + height); }
    else { context.moveTo(at, y + height); context.lineTo(at + height, y); }
  }
  context.stroke();
  context.restore();
}

// Dots on the grid of the canvas: a gap of the recording.
function shadeGap(context, x, y, width, height) {
  const step = 8;
  context.fillStyle = colours.hatch;
  for (let row = Math.ceil((y + 1) / step) * step; row < y + height; row += step) {
    for (let at = Math.ceil(x / step) * step; at < x + width; at += step) context.fillRect(at, row, 1.2, 1.2);
  }
}

// Call `draw` with modality and left and right edge of each run of rows in view.
function eachRun(at, face, draw) {
  const runs = face.modality;
  for (let i = 0; i < runs.length; i++) {
    const from = face.time[runs[i][0]];
    const to = i + 1 < runs.length ? face.time[runs[i + 1][0]] : data.end_s;
    if (to < state.start || from > state.end) continue;
    const left = Math.max(xOf(at, from), at.left), right = Math.min(xOf(at, to), at.right);
    draw(data.modalities[runs[i][1]], left, Math.max(right - left, 0.5));
  }
}

function tickStep(span, pixels) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
  return steps.find((step) => (step / span) * pixels >= 70) || 43200;
}

function drawFrame(context, at) {
  context.font = FONT;
  context.textBaseline = "middle";
  DIMENSIONS.forEach((name, side) => {
    context.fillStyle = colours.text;
    context.textAlign = "left";
    context.font = "600 " + FONT;
    context.fillText(name[0].toUpperCase() + name.slice(1), at.left, at.tops[side] - 9);
    context.font = FONT;
    for (const value of [-1, -0.5, 0, 0.5, 1]) {
      const y = Math.round(yOf(at, side, value)) + 0.5;
      context.strokeStyle = value === 0 ? colours.zero : colours.grid;
      context.beginPath();
      context.moveTo(at.left, y);
      context.lineTo(at.right, y);
      context.stroke();
      if (value % 1 === 0) {
        context.fillStyle = colours.minor;
        context.textAlign = "right";
        context.fillText(String(value).replace("-", "\u2212"), at.left - 6, y);
      }
    }
  });
}

function drawAxis(context, at) {
  const step = tickStep(state.end - state.start, at.right - at.left);
  context.fillStyle = colours.minor;
  context.strokeStyle = colours.line;
  context.textBaseline = "alphabetic";
  for (let n = Math.ceil(state.start / step - 1e-9); n * step <= state.end + 1e-9; n++) {
    const x = xOf(at, n * step);
    const text = step < 1 ? clock(n * step) : clock(n * step).slice(0, -2);
    const half = context.measureText(text).width / 2;
    context.textAlign = x + half > at.width ? "right" : "center";
    context.beginPath();
    context.moveTo(x, at.axis);
    context.lineTo(x, at.axis + 4);
    context.stroke();
    context.fillText(text, Math.min(x, at.width), at.axis + 17);
  }
}

// Points of a curve in view: one for each row if there are few, else the lowest and highest of each pixel.
// Each is {x, low, high, first, last, bottom, top}; null where the curve is interrupted.
function reduce(at, face, name) {
  const values = face[name], errors = face[name + "_uncertainty"];
  if (values === null) return [];
  const from = Math.max(upperBound(face.time, state.start) - 2, 0);
  const to = Math.min(upperBound(face.time, state.end) + 1, face.rows);
  const isDense = to - from > 2 * (at.right - at.left);
  const points = [];
  let point = null, column = NaN;
  for (let row = from; row < to; row++) {
    if (values[row] === data.missing) {
      if (!isDense || xOf(at, face.time[row]) >= column + 1) { point = null; if (points.at(-1)) points.push(null); }
      continue;
    }
    const x = xOf(at, face.time[row]);
    const value = values[row] * data.value_unit;
    const error = errors === null || errors[row] === data.missing ? NaN : errors[row] * data.value_unit;
    if (!isDense || point === null || Math.floor(x) !== column) {
      column = Math.floor(x);
      point = { x: isDense ? column + 0.5 : x, low: value, high: value, first: value, last: value,
        bottom: value - error, top: value + error };
      points.push(point);
      continue;
    }
    point.low = Math.min(point.low, value);
    point.high = Math.max(point.high, value);
    point.last = value;
    point.bottom = Math.min(point.bottom, value - error);
    point.top = Math.max(point.top, value + error);
  }
  return points;
}

function segments(points) {
  const all = [[]];
  for (const point of points) {
    if (point === null) all.push([]); else all.at(-1).push(point);
  }
  return all.filter((segment) => segment.length);
}

function drawCurve(context, at, face, side) {
  const y = (value) => yOf(at, side, Math.max(-1, Math.min(1, value)));
  for (const segment of segments(reduce(at, face, DIMENSIONS[side]))) {
    const certain = segment.filter((point) => !Number.isNaN(point.bottom));
    context.fillStyle = colourOf(face);
    context.globalAlpha = 0.2;
    context.beginPath();
    certain.forEach((point) => context.lineTo(point.x, y(point.top)));
    certain.reverse().forEach((point) => context.lineTo(point.x, y(point.bottom)));
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = colourOf(face);
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.setLineDash(dashOf(face));
    context.beginPath();
    for (const point of segment) {
      for (const value of [point.first, point.low, point.high, point.last]) context.lineTo(point.x, y(value));
    }
    if (segment.length === 1) context.lineTo(segment[0].x + 1.5, y(segment[0].last));
    context.stroke();
    context.setLineDash([]);
    context.lineWidth = 1;
  }
}

function drawCurves() {
  const { context, width, height } = fit($("curves"));
  const at = layout(width, height);
  const visible = shown();
  if (visible.length === 1) {
    eachRun(at, visible[0], (name, x, wide) => {
      for (const top of at.tops) shade(context, name, x, top, wide, at.chart);
    });
  }
  drawFrame(context, at);
  context.save();
  context.beginPath();
  context.rect(at.left, 0, at.right - at.left, at.axis);
  context.clip();
  for (const face of visible) for (const side of [0, 1]) drawCurve(context, at, face, side);
  if (hasStrips) faces.forEach((face, index) => {
    const y = at.strips + index * (STRIP + 2);
    context.globalAlpha = face.isShown ? 1 : 0.3;
    eachRun(at, face, (name, x, wide) => {
      shade(context, name, x, y, wide, STRIP);
      if (name !== "none") { context.fillStyle = colourOf(face); context.fillRect(x, y + STRIP - 3, wide, 3); }
    });
    context.globalAlpha = 1;
  });
  context.restore();
  drawAxis(context, at);
  if (isPrinting) paintCursor(context, at);
}

function drawCursor() {
  const { context, width, height } = fit($("cursor"));
  paintCursor(context, layout(width, height));
}

function paintCursor(context, at) {
  const x = xOf(at, state.time);
  if (x < at.left - 1 || x > at.right + 1) return;
  context.fillStyle = colours.cursor;
  context.fillRect(x - 0.75, at.tops[0] - 4, 1.5, at.axis - at.tops[0] + 4);
  for (const face of shown()) {
    const row = rowAt(face, state.time);
    DIMENSIONS.forEach((name, side) => {
      const value = valueAt(face, name, row);
      if (!Number.isNaN(value)) dot(context, x, yOf(at, side, value), 4, colourOf(face));
    });
  }
}

function dot(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = colours.surface;
  context.stroke();
  context.lineWidth = 1;
}
