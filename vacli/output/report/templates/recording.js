"use strict";
// The page of a recording. Time is in seconds on the clock of the table.
(function () {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const DIMENSIONS = ["valence", "arousal"];
  const TRAIL_S = 3;
  const NONE = data.modalities.indexOf("none");
  const MIN_VIEW_S = 2;
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

  // ---- Data ---------------------------------------------------------------------------------------------

  function bytesOf(text) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  function unpack(packed, index, faces) {
    const face = { label: packed.label, index, rows: packed.rows, isShown: true };
    if (packed.time === null) {
      face.time = faces[0].time;
    } else {
      face.time = Float64Array.from(new Uint32Array(bytesOf(packed.time).buffer), (t) => t * data.time_unit_s);
    }
    for (const name of DIMENSIONS) {
      for (const column of [name, name + "_uncertainty"]) {
        face[column] = packed[column] === null ? null : new Int16Array(bytesOf(packed[column]).buffer);
      }
    }
    face.box = packed.box === null ? null : new Int16Array(bytesOf(packed.box).buffer);
    face.modality = packed.modality;
    return face;
  }

  const faces = [];
  data.faces.forEach((packed, index) => faces.push(unpack(packed, index, faces)));
  const duration = Math.max(data.end_s, 1e-3);

  // The number of the first element of a sorted array that is greater than `value`.
  function upperBound(array, value) {
    let low = 0, high = array.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (array[middle] > value) high = middle; else low = middle + 1;
    }
    return low;
  }

  // The row that is shown at a time; -1 before the first one. Half a unit covers the rounding of times.
  const rowAt = (face, time) => upperBound(face.time, time + data.time_unit_s) - 1;

  function valueAt(face, column, row) {
    const values = face[column];
    if (row < 0 || values === null || values[row] === data.missing) return NaN;
    return values[row] * data.value_unit;
  }

  function modalityAt(face, row) {
    let low = 0, high = face.modality.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (face.modality[middle][0] > row) high = middle; else low = middle + 1;
    }
    return low === 0 ? NONE : face.modality[low - 1][1];
  }

  const shown = () => faces.filter((face) => face.isShown);

  // ---- State --------------------------------------------------------------------------------------------

  const state = { time: 0, start: 0, end: duration };
  const media = $("media");
  let isUsable = media !== null, isLoaded = false;
  let offset = 0;  // of the clock of the player from that of the table
  const MIN_OFFSET_S = 0.1;  // below it the two clocks are equal, and audio starts a little early

  function clock(time) {
    const tenths = Math.round(Math.max(time, 0) * 10);
    const minutes = Math.floor(tenths / 600);
    const seconds = `${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
    const hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
  }

  const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);

  // ---- Drawing ------------------------------------------------------------------------------------------

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

  // ---- The plane ----------------------------------------------------------------------------------------

  function planePlace(size) {
    const margin = 22;
    const scale = Math.max((size - 2 * margin) / 2, 0);
    return { margin, size, x: (valence) => margin + (valence + 1) * scale, y: (arousal) => margin + (1 - arousal) * scale, scale };
  }

  const CELLS = 48;

  // Counts of rows in cells of the plane and the largest of them.
  function density(face) {
    if (face.density) return face.density;
    const counts = new Uint32Array(CELLS * CELLS);
    let largest = 0;
    for (let row = 0; face.valence !== null && face.arousal !== null && row < face.rows; row++) {
      if (face.valence[row] === data.missing) continue;
      const cell = (unit) => Math.max(0, Math.min(CELLS - 1, Math.floor(((unit * data.value_unit + 1) / 2) * CELLS)));
      largest = Math.max(largest, ++counts[cell(face.arousal[row]) * CELLS + cell(face.valence[row])]);
    }
    face.density = { counts, largest };
    return face.density;
  }

  function drawPlane() {
    const { context, width } = fit($("plane"));
    const at = planePlace(width);
    context.strokeStyle = colours.line;
    context.strokeRect(at.x(-1), at.y(1), 2 * at.scale, 2 * at.scale);
    const cell = (2 * at.scale) / CELLS;
    for (const face of shown()) {
      const { counts, largest } = density(face);
      context.fillStyle = colourOf(face);
      counts.forEach((count, index) => {
        if (!count) return;
        context.globalAlpha = 0.1 + 0.4 * Math.sqrt(count / largest);
        context.fillRect(at.x(-1) + (index % CELLS) * cell, at.y(-1) - (Math.floor(index / CELLS) + 1) * cell, cell, cell);
      });
    }
    context.globalAlpha = 1;
    context.strokeStyle = colours.zero;
    context.beginPath();
    context.moveTo(at.x(-1), at.y(0)); context.lineTo(at.x(1), at.y(0));
    context.moveTo(at.x(0), at.y(-1)); context.lineTo(at.x(0), at.y(1));
    context.stroke();
    context.font = FONT;
    context.fillStyle = colours.minor;
    context.textAlign = "left";
    context.textBaseline = "top";
    for (const [arousal, name] of [[1, "excited"], [-1, "calm"]]) {
      const y = at.y(arousal) + 5 * arousal;
      context.textBaseline = arousal > 0 ? "top" : "bottom";
      context.textAlign = "left";
      context.fillText("unpleasant,", at.x(-1) + 5, arousal > 0 ? y : y - 14);
      context.fillText(name, at.x(-1) + 5, arousal > 0 ? y + 14 : y);
      context.textAlign = "right";
      context.fillText("pleasant,", at.x(1) - 5, arousal > 0 ? y : y - 14);
      context.fillText(name, at.x(1) - 5, arousal > 0 ? y + 14 : y);
    }
    context.textBaseline = "bottom";
    context.fillStyle = colours.text;
    context.textAlign = "center";
    context.fillText("Valence", at.x(0), at.size - 3);
    context.save();
    context.translate(4, at.y(0));
    context.rotate(-Math.PI / 2);
    context.textBaseline = "top";
    context.fillText("Arousal", 0, 0);
    context.restore();
    if (isPrinting) paintPlaneCursor(context, at);
  }

  function drawTrail(context, at, face, row) {
    const first = upperBound(face.time, state.time - TRAIL_S);
    const step = Math.max(1, Math.floor((row - first) / 90));
    context.strokeStyle = colourOf(face);
    context.lineWidth = 2;
    context.lineCap = "round";
    for (let i = first + step; i <= row; i += step) {
      const points = [i - step, i].map((n) => DIMENSIONS.map((name) => valueAt(face, name, n)));
      if (points.flat().some(Number.isNaN)) continue;
      context.globalAlpha = Math.max(0.05, 1 - (state.time - face.time[i]) / TRAIL_S);
      context.beginPath();
      for (const [valence, arousal] of points) context.lineTo(at.x(valence), at.y(arousal));
      context.stroke();
    }
    context.globalAlpha = 1;
    context.lineWidth = 1;
  }

  function drawPlaneCursor() {
    const { context, width } = fit($("plane-cursor"));
    paintPlaneCursor(context, planePlace(width));
  }

  function paintPlaneCursor(context, at) {
    for (const face of shown()) {
      const row = rowAt(face, state.time);
      drawTrail(context, at, face, row);
      const [valence, arousal] = DIMENSIONS.map((name) => valueAt(face, name, row));
      if (Number.isNaN(valence) || Number.isNaN(arousal)) continue;
      const errors = DIMENSIONS.map((name) => valueAt(face, name + "_uncertainty", row) || 0);
      context.beginPath();
      context.ellipse(at.x(valence), at.y(arousal), errors[0] * at.scale, errors[1] * at.scale, 0, 0, 2 * Math.PI);
      context.strokeStyle = colourOf(face);
      context.setLineDash([4, 3]);
      context.stroke();
      context.setLineDash([]);
      dot(context, at.x(valence), at.y(arousal), 6, colourOf(face));
    }
  }

  // ---- Boxes on the picture -----------------------------------------------------------------------------

  function drawBoxes() {
    const canvas = $("boxes");
    if (canvas === null || data.picture_px === null || !media.videoWidth) return;
    const { context, width, height } = fit(canvas);
    const scale = Math.min(width / media.videoWidth, height / media.videoHeight);
    const size = [media.videoWidth * scale, media.videoHeight * scale];
    const origin = [(width - size[0]) / 2, (height - size[1]) / 2];
    context.lineWidth = 2;
    context.font = "600 " + FONT;
    context.textBaseline = "bottom";
    for (const face of shown()) {
      const row = rowAt(face, state.time);
      if (face.box === null || row < 0 || face.box[4 * row] === data.missing) continue;
      const [x, y, w, h] = [0, 1, 2, 3].map((i) => (face.box[4 * row + i] / data.picture_px[i % 2]) * size[i % 2]);
      context.strokeStyle = context.fillStyle = colourOf(face);
      context.strokeRect(origin[0] + x, origin[1] + y, w, h);
      if (face.label) {
        const wide = context.measureText(face.label).width + 8;
        context.fillRect(origin[0] + x - 1, origin[1] + y - 17, wide, 17);
        context.fillStyle = colours.surface;
        context.fillText(face.label, origin[0] + x + 3, origin[1] + y - 2);
      }
    }
  }

  // ---- Texts --------------------------------------------------------------------------------------------

  function put(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function withError(face, name, row) {
    const value = valueAt(face, name, row);
    if (Number.isNaN(value)) return "–";
    const error = valueAt(face, name + "_uncertainty", row);
    return signed(value) + (Number.isNaN(error) ? "" : ` ± ${error.toFixed(2)}`);
  }

  function describe(face, row) {
    const lead = face.label ? `${face.label}: ` : "";
    if (row < 0) return `${lead}no frame yet`;
    const name = data.modalities[modalityAt(face, row)];
    if (name === "none") return `${lead}no prediction`;
    return `${lead}valence ${withError(face, "valence", row)}, arousal ${withError(face, "arousal", row)}, ${name}`;
  }

  let lastSpoken = 0;

  function drawTexts() {
    put($("clock"), clock(state.time));
    for (const line of $("readout").tBodies[0].rows) {
      const face = faces[Number(line.dataset.face)];
      const row = rowAt(face, state.time);
      line.hidden = !face.isShown;
      put(line.cells[1], withError(face, "valence", row));
      put(line.cells[2], withError(face, "arousal", row));
      put(line.querySelector(".basis"), row < 0 ? "no frame yet" : data.modalities[modalityAt(face, row)].replace("none", "no prediction"));
    }
    const now = performance.now();
    if (isPlaying() && now - lastSpoken < 1000) return;
    lastSpoken = now;
    const timeline = $("timeline");
    timeline.setAttribute("aria-valuenow", state.time.toFixed(3));
    const texts = shown().map((face) => describe(face, rowAt(face, state.time)));
    timeline.setAttribute("aria-valuetext", [clock(state.time), ...texts].join("; "));
  }

  function drawMoving() {
    drawCursor();
    drawPlaneCursor();
    drawBoxes();
    drawTexts();
  }

  function drawAll() {
    readColours();
    drawCurves();
    drawPlane();
    drawLegend();
    drawMoving();
  }

  function drawLegend() {
    const names = data.modalities.filter((name, code) => faces.some((face) => face.modality.some((run) => run[1] === code)));
    const items = names.map((name) => {
      const item = document.createElement("li");
      const sample = document.createElement("canvas");
      sample.setAttribute("aria-hidden", "true");
      item.append(sample, name === "unknown" ? "basis not recorded" : name);
      return [item, sample, name];
    });
    $("legend").replaceChildren(...items.map(([item]) => item));
    for (const [, sample, name] of items) {
      const { context, width, height } = fit(sample);
      shade(context, name, 0, 0, width, height);
    }
  }

  // ---- Time ---------------------------------------------------------------------------------------------

  const isPlaying = () => isUsable && !media.paused && !media.ended;

  function show(time) {
    state.time = Math.max(0, Math.min(duration, time));
    if (state.time < state.start || state.time > state.end) {
      const span = state.end - state.start;
      const start = Math.max(0, Math.min(duration - span, state.time - 0.1 * span));
      view(start, start + span);
    }
    drawMoving();
  }

  // Move the cursor and the recording. The recording goes a little past the time of a frame, because times are
  // rounded and the frame before it would be shown.
  function seek(time) {
    const to = Math.max(0, Math.min(duration, time));
    if (isUsable && isLoaded) media.currentTime = Math.max(0, to + offset) + 5e-4;
    show(to);
  }

  function fromMedia() {
    if (isLoaded) show(media.currentTime - offset);
  }

  let lastRequest = 0;

  function follow() {
    cancelAnimationFrame(lastRequest);
    const step = () => {
      fromMedia();
      if (isPlaying()) lastRequest = requestAnimationFrame(step);
    };
    lastRequest = requestAnimationFrame(step);
  }

  function view(start, end) {
    state.start = Math.max(0, start);
    state.end = Math.min(duration, end);
    const isWhole = state.end - state.start > duration - 1e-6;
    $("zoom-out").disabled = $("zoom-all").disabled = isWhole;
    $("zoom-in").disabled = state.end - state.start <= Math.min(MIN_VIEW_S, duration) + 1e-6;
    drawCurves();
    drawCursor();
  }

  // Change the length of the view around the cursor.
  function zoom(factor) {
    const span = Math.min(duration, Math.max(Math.min(MIN_VIEW_S, duration), (state.end - state.start) * factor));
    const place = (state.time - state.start) / (state.end - state.start);
    const start = Math.max(0, Math.min(duration - span, state.time - place * span));
    view(start, start + span);
  }

  function stepFrame(direction) {
    const face = shown()[0] || faces[0];
    const row = Math.max(0, Math.min(face.rows - 1, rowAt(face, state.time) + direction));
    if (isPlaying()) media.pause();
    seek(face.time[row]);
  }

  function toggle() {
    if (!isUsable) return;
    if (media.paused || media.ended) media.play().catch(() => {}); else media.pause();
  }

  // ---- Input --------------------------------------------------------------------------------------------

  const KEYS = {
    ArrowLeft: () => seek(state.time - 1),
    ArrowRight: () => seek(state.time + 1),
    PageUp: () => seek(state.time - 10),
    PageDown: () => seek(state.time + 10),
    Home: () => seek(0),
    End: () => seek(duration),
    ",": () => stepFrame(-1),
    ".": () => stepFrame(1),
    "+": () => zoom(0.5),
    "-": () => zoom(2),
    "0": () => view(0, duration),
    " ": toggle,
  };
  // Keys that scroll the page or press a button, where the cursor of time is not focused.
  const PAGE_KEYS = ["PageUp", "PageDown", "Home", "End"];

  document.addEventListener("keydown", (event) => {
    const key = event.key;
    if (!Object.hasOwn(KEYS, key) || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target === media && key !== "," && key !== "." ) return;
    if (key === " " && target.closest("button, a")) return;
    if (PAGE_KEYS.includes(key) && target !== $("timeline")) return;
    event.preventDefault();
    KEYS[key]();
  });

  const timeline = $("timeline");
  let pending = null;

  function seekTo(event) {
    const box = timeline.getBoundingClientRect();
    const time = timeOf(layout(box.width, box.height), event.clientX - box.left);
    if (pending === null) {
      requestAnimationFrame(() => { const to = pending; pending = null; seek(to); });
    }
    pending = Math.max(state.start, Math.min(state.end, time));
  }

  timeline.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    timeline.setPointerCapture(event.pointerId);
    seekTo(event);
  });
  timeline.addEventListener("pointermove", (event) => {
    if (timeline.hasPointerCapture(event.pointerId)) seekTo(event);
  });

  for (const button of document.querySelectorAll("[data-seek]")) {
    button.addEventListener("click", () => {
      seek(Number(button.dataset.seek));
      document.querySelector(".stage").scrollIntoView({
        block: "nearest", behavior: reducedMotion.matches ? "auto" : "smooth",
      });
    });
  }

  for (const button of document.querySelectorAll(".toggle")) {
    button.addEventListener("click", () => {
      const face = faces[Number(button.dataset.face)];
      face.isShown = !face.isShown;
      button.setAttribute("aria-pressed", String(face.isShown));
      drawAll();
    });
  }

  $("zoom-in").addEventListener("click", () => zoom(0.5));
  $("zoom-out").addEventListener("click", () => zoom(2));
  $("zoom-all").addEventListener("click", () => view(0, duration));

  // ---- The recording ------------------------------------------------------------------------------------

  function note(text) {
    const line = $("media-note");
    line.textContent = text;
    line.hidden = false;
  }

  function giveUp() {
    isUsable = false;
    (media.closest(".screen") || media).hidden = true;
    note("The recording cannot be played: the file was moved, or this browser does not support its format. " +
      "The curves can still be explored.");
  }

  // Whether the browser cannot decode the picture of a video.
  const isSoundOnly = () => media.tagName === "VIDEO" && !media.videoWidth;

  function checkPicture() {
    if (isSoundOnly()) note("This browser plays only the sound of the recording.");
  }

  // Some browsers begin at 0, others at the time of the first frame.
  function begin() {
    if (isLoaded) return;
    isLoaded = true;
    const difference = media.currentTime - data.media_start_s;
    offset = isSoundOnly() || Math.abs(difference) < MIN_OFFSET_S ? 0 : difference;
    if (state.time > 0) seek(state.time); else fromMedia();
  }

  function embedded(content) {
    const text = content.textContent, parts = [], SIZE = 1 << 22;  // a multiple of 4 characters
    for (let at = 0; at < text.length; at += SIZE) parts.push(bytesOf(text.slice(at, at + SIZE)));
    content.remove();
    return URL.createObjectURL(new Blob(parts, { type: content.dataset.type }));
  }

  if (media !== null) {
    media.addEventListener("error", giveUp);
    if (media.error) giveUp();
    media.addEventListener("seeking", () => { isLoaded = true; });  // the first time is not that of the file then
    for (const name of ["play", "playing"]) media.addEventListener(name, follow);
    for (const name of ["pause", "ended", "seeking", "seeked", "timeupdate"]) media.addEventListener(name, () => {
      if (pending === null && !isPlaying()) fromMedia();
    });
    media.addEventListener("loadedmetadata", checkPicture);
    media.addEventListener("loadeddata", begin);
    if (media.readyState >= 1) checkPicture();
    if (media.readyState >= 2) begin();
    if ($("content") !== null) media.src = embedded($("content"));
  }

  // ---- Size, colours, print -----------------------------------------------------------------------------

  // On paper a canvas is opaque, so that the cursors are drawn on the canvases below them.
  function print(begins) {
    isPrinting = begins;
    document.documentElement.classList.toggle("printing", begins);
    drawAll();
  }

  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  const redraw = () => { if (!isPrinting) drawAll(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(redraw).observe(document.body);
  drawAll();
})();
