// The values at the cursor, and the recording that the cursor follows.

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

let frameTime = NaN;  // of the frame that was last shown

function watchFrames() {
  media.requestVideoFrameCallback((now, frame) => {
    frameTime = frame.mediaTime;
    watchFrames();
  });
}

// While a video plays, its clock is ahead of the frame that is shown.
function fromMedia() {
  const isFresh = isPlaying() && Math.abs(media.currentTime - frameTime) < MAX_LEAD_S;
  if (isLoaded) show((isFresh ? frameTime : media.currentTime) - offset);
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
  if (media.requestVideoFrameCallback) watchFrames();
  if (media.readyState >= 1) checkPicture();
  if (media.readyState >= 2) begin();
  if ($("content") !== null) media.src = embedded($("content"));
}
