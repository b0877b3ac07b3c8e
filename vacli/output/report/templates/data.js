// The rows of the faces, and the time that is shown. Times are in seconds on the clock of the table.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const DIMENSIONS = ["valence", "arousal"];
const TRAIL_S = 3;
const NONE = data.modalities.indexOf("none");
const MIN_VIEW_S = 2;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

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

const state = { time: 0, start: 0, end: duration };
const media = $("media");
let isUsable = media !== null, isLoaded = false;
let offset = 0;  // of the clock of the player from that of the table
const MAX_LEAD_S = 0.1;  // a frame that is older is not the one that is shown
const MIN_OFFSET_S = 0.1;  // below it the two clocks are equal, and audio starts a little early

function clock(time) {
  const tenths = Math.round(Math.max(time, 0) * 10);
  const minutes = Math.floor(tenths / 600);
  const seconds = `${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
