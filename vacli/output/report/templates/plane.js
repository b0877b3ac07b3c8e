// The valence-arousal plane, and the boxes of faces on the picture.

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
