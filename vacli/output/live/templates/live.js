"use strict";
{
const SPAN_S = 60, TRAIL_S = 3, PICTURE_MS = 200, STALE_MS = 3000, SLACK_S = 1;
const GAP_S = 0.5;  // a longer step between two rows interrupts a curve
const FONT = "12px system-ui, sans-serif";
const DIMENSIONS = ["valence", "arousal"];
const token = new URLSearchParams(location.search).get("token");
const query = token === null ? "" : "?token=" + encodeURIComponent(token);
const faces = new Map();  // number -> rows of the last SPAN_S
const find = (id) => document.getElementById(id);
let last = null, arrived = 0, isEnded = false, isDirty = true, isConnected = false;

const clamp = (value) => Math.max(-1, Math.min(1, value));
const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
const hasValues = (row) => row.valence !== null && row.arousal !== null;
const indexOf = (face) => Math.max(face, 0) % 6;

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const lead = hours ? hours + ":" + String(minutes).padStart(2, "0") : String(minutes);
  return lead + ":" + String(whole % 60).padStart(2, "0");
}

function add(rows) {
  for (const row of rows) {
    if (last !== null && row.time_s < last.time_s - SLACK_S) faces.clear();  // the source began again
    if (!faces.has(row.face)) faces.set(row.face, []);
    faces.get(row.face).push(row);
    last = row;
  }
  for (const [face, kept] of faces) {
    const first = kept.findIndex((row) => row.time_s >= last.time_s - SPAN_S - 1);
    if (first < 0) faces.delete(face); else kept.splice(0, first);
  }
  arrived = performance.now();
  isDirty = true;
}

function connect() {
  const events = new EventSource("events" + query);
  events.onopen = () => { isConnected = true; faces.clear(); last = null; isDirty = true; };
  events.onmessage = (event) => add(JSON.parse(event.data));
  events.addEventListener("end", () => { isEnded = true; isDirty = true; events.close(); });
  events.onerror = () => { isConnected = false; isDirty = true; };  // the browser connects again
}

function showState() {
  const lamp = find("lamp");
  let text = "Waiting for the first frame", name = "lamp";
  if (isEnded) { text = "The run has ended"; name += " off"; }
  else if (!isConnected && last !== null) { text = "The connection is lost"; name += " off"; }
  else if (last !== null && performance.now() - arrived > STALE_MS) { text = "No new frame"; name += " off"; }
  else if (last !== null) {
    text = clock(last.time_s) + ", latency " + Math.round(1000 * (last.latency_s ?? 0)) + " ms";
    if (last.flag) text += ", " + last.flag.replaceAll("+", ", ").replaceAll("_", " ");
    name += " on";
  }
  if (find("state").textContent !== text) find("state").textContent = text;
  lamp.className = name;
}

const style = () => getComputedStyle(document.documentElement);
const colour = (name) => style().getPropertyValue("--" + name).trim();

function fit(canvas) {
  const scale = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * scale), height = Math.round(box.height * scale);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, box.width, box.height);
  context.font = FONT;
  return { context, width: box.width, height: box.height };
}

// Faces that have a row among the last ones, in the order of their numbers.
const present = () => [...faces.entries()].filter(([, rows]) => last.time_s - rows.at(-1).time_s < SLACK_S)
  .sort(([a], [b]) => a - b);

function drawPlane() {
  const { context, width } = fit(find("plane"));
  const margin = 20, side = width - 2 * margin;
  const x = (value) => margin + (clamp(value) + 1) / 2 * side, y = (value) => margin + (1 - clamp(value)) / 2 * side;
  context.strokeStyle = colour("grid");
  context.strokeRect(margin, margin, side, side);
  context.beginPath();
  context.arc(width / 2, width / 2, side / 2, 0, 2 * Math.PI);
  context.stroke();
  context.strokeStyle = colour("zero");
  context.beginPath();
  context.moveTo(x(-1), y(0)); context.lineTo(x(1), y(0));
  context.moveTo(x(0), y(-1)); context.lineTo(x(0), y(1));
  context.stroke();
  context.fillStyle = colour("minor");
  context.textAlign = "center";
  context.fillText("excited", width / 2, margin - 7);
  context.fillText("calm", width / 2, width - 6);
  context.save();
  context.translate(margin - 7, width / 2); context.rotate(-Math.PI / 2);
  context.fillText("unpleasant", 0, 0);
  context.restore();
  context.save();
  context.translate(width - margin + 15, width / 2); context.rotate(-Math.PI / 2);
  context.fillText("pleasant", 0, 0);
  context.restore();
  if (last === null) return;
  for (const [face, rows] of present()) {
    const own = colour("face-" + indexOf(face));
    context.strokeStyle = context.fillStyle = own;
    let before = null;
    for (const row of rows.filter((one) => one.time_s > last.time_s - TRAIL_S)) {
      if (before !== null && hasValues(row) && hasValues(before)) {
        context.globalAlpha = 0.15 + 0.6 * (1 - (last.time_s - row.time_s) / TRAIL_S);
        context.beginPath();
        context.moveTo(x(before.valence), y(before.arousal));
        context.lineTo(x(row.valence), y(row.arousal));
        context.stroke();
      }
      before = row;
    }
    const row = rows.at(-1);
    if (!hasValues(row)) continue;
    if (row.valence_uncertainty !== null && row.arousal_uncertainty !== null) {
      context.globalAlpha = 0.18;
      context.save();
      context.beginPath();
      context.rect(margin, margin, side, side);
      context.clip();
      context.beginPath();
      context.ellipse(x(row.valence), y(row.arousal), row.valence_uncertainty * side / 2,
        row.arousal_uncertainty * side / 2, 0, 0, 2 * Math.PI);
      context.fill();
      context.restore();
    }
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(x(row.valence), y(row.arousal), 6, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function drawCurves() {
  const { context, width, height } = fit(find("curves"));
  const left = 34, right = width - 8, top = 20, gap = 26, axis = 22;
  const chart = (height - top - gap - axis) / 2;
  const end = last === null ? SPAN_S : Math.max(last.time_s, SPAN_S), start = end - SPAN_S;
  const x = (time) => left + (time - start) / SPAN_S * (right - left);
  DIMENSIONS.forEach((name, number) => {
    const upper = top + number * (chart + gap);
    const y = (value) => upper + (1 - clamp(value)) / 2 * chart;
    context.textAlign = "left";
    context.fillStyle = colour("text");
    context.font = "600 " + FONT;
    context.fillText(name[0].toUpperCase() + name.slice(1), left, upper - 7);
    context.font = FONT;
    context.textAlign = "right";
    for (const value of [-1, -0.5, 0, 0.5, 1]) {
      context.strokeStyle = colour(value === 0 ? "zero" : "grid");
      context.beginPath();
      context.moveTo(left, Math.round(y(value)) + 0.5); context.lineTo(right, Math.round(y(value)) + 0.5);
      context.stroke();
      context.fillStyle = colour("minor");
      if (value % 1 === 0) context.fillText(String(value).replace("-", "\u2212"), left - 6, y(value) + 4);
    }
    for (const [face, rows] of faces) drawCurve(context, rows, name, x, y, colour("face-" + indexOf(face)));
  });
  context.fillStyle = colour("minor");
  context.textAlign = "center";
  for (let time = Math.ceil(start / 10) * 10; time <= end; time += 10) {
    context.fillText(clock(time), Math.min(Math.max(x(time), left + 10), right - 12), height - 6);
  }
}

function drawCurve(context, rows, name, x, y, own) {
  const runs = [];
  let before = null;
  for (const row of rows) {
    if (row[name] === null) { before = null; continue; }
    if (before === null || row.time_s - before.time_s > GAP_S) runs.push([]);
    runs.at(-1).push(row);
    before = row;
  }
  context.save();
  context.beginPath();
  context.rect(34, 0, 1e4, 1e4);
  context.clip();
  for (const run of runs) {
    const certain = run.filter((row) => row[name + "_uncertainty"] !== null);
    context.fillStyle = context.strokeStyle = own;
    context.globalAlpha = 0.2;
    context.beginPath();
    certain.forEach((row) => context.lineTo(x(row.time_s), y(row[name] + row[name + "_uncertainty"])));
    certain.reverse().forEach((row) => context.lineTo(x(row.time_s), y(row[name] - row[name + "_uncertainty"])));
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 1.6;
    context.beginPath();
    run.forEach((row) => context.lineTo(x(row.time_s), y(row[name])));
    if (run.length === 1) context.lineTo(x(run[0].time_s) + 1.5, y(run[0][name]));
    context.stroke();
    context.lineWidth = 1;
  }
  context.restore();
}

function drawBoxes() {
  const picture = find("picture"), { context, width, height } = fit(find("boxes"));
  if (last === null || picture.hidden) return;
  for (const [face, rows] of present()) {
    const row = rows.at(-1);
    if (!row.size || row.box.some((value) => value === null)) continue;
    const scale = Math.min(width / row.size[0], height / row.size[1]);
    const left = (width - row.size[0] * scale) / 2, upper = (height - row.size[1] * scale) / 2;
    context.strokeStyle = colour("face-" + indexOf(face));
    context.lineWidth = 2;
    context.strokeRect(left + row.box[0] * scale, upper + row.box[1] * scale, row.box[2] * scale, row.box[3] * scale);
  }
}

function cell(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

function showValues() {
  const body = find("values");
  body.replaceChildren(...(last === null ? [] : present()).map(([face, rows]) => {
    const row = rows.at(-1), line = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.append(Object.assign(document.createElement("span"), { className: "swatch face-" + indexOf(face) }));
    head.append((faces.size > 1 && face >= 0 ? "face " + face + " " : "") + (row.basis === "none" ? "no face or speech" : row.basis));
    line.append(head, ...DIMENSIONS.map((name) => {
      if (row[name] === null) return cell("td", "\u2013");
      const error = row[name + "_uncertainty"];
      return cell("td", signed(row[name]) + (error === null ? "" : " \u00b1 " + error.toFixed(2)));
    }));
    return line;
  }));
}

// One picture at a time, so that a slow connection gets fewer of them.
async function showPictures() {
  const picture = find("picture");
  let url = null;
  while (!isEnded) {
    try {
      const answer = await fetch("frame.jpg" + query);
      if (answer.status === 200) {  // 204 without a picture
        const next = URL.createObjectURL(await answer.blob());
        picture.src = next;
        await picture.decode();
        if (url !== null) URL.revokeObjectURL(url);
        url = next;
        picture.hidden = false;
        if (!find("blank").hidden) { find("blank").hidden = isDirty = true; }
      }
    } catch { /* the server is not there; the state shows it */ }
    await new Promise((done) => setTimeout(done, last === null ? 500 : PICTURE_MS));
  }
}

function draw() {
  showState();
  if (isDirty) {
    isDirty = false;
    drawPlane();
    drawCurves();
    drawBoxes();
    showValues();
  }
}

window.addEventListener("resize", () => { isDirty = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { isDirty = true; });
connect();
showPictures();
setInterval(draw, 100);
draw();
}
