// Mouse, keyboard, buttons, colours and printing.

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
