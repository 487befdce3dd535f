// The jet under the pointer, over figures whose points stand for jets. Constituents are four bytes each: see pointing.py.

const POINTS = 10000; // places of points run from 0 to this
const NEAR = 14; // pixels
const SIDE = 190;

function placesOf(image) {
  const numbers = image.dataset.points.split(" ").map(Number);
  return Array.from({ length: numbers.length / 3 }, (_, k) => numbers.slice(3 * k, 3 * k + 3));
}

function nearest(places, image, x, y) {
  const [across, down] = [image.clientWidth / POINTS, image.clientHeight / POINTS];
  let [best, found] = [NEAR ** 2, null];
  for (const [px, py, jet] of places) {
    const distance = (px * across - x) ** 2 + (py * down - y) ** 2;
    if (distance < best) [best, found] = [distance, { jet, x: px * across, y: py * down }];
  }
  return found;
}

// Paths around 0, 0 of radius r: unknown, charged hadron, neutral hadron, photon, electron, muon.
const SHAPES = [
  (c, r) => c.arc(0, 0, r / 2, 0, 7),
  (c, r) => c.arc(0, 0, r, 0, 7),
  (c, r) => c.rect(-r, -r, 2 * r, 2 * r),
  (c, r) => { c.moveTo(0, -r); c.lineTo(r, r); c.lineTo(-r, r); c.closePath(); },
  (c, r) => { c.rect(-r, -r / 3, 2 * r, 2 * r / 3); c.rect(-r / 3, -r, 2 * r / 3, 2 * r); },
  (c, r) => { c.moveTo(0, -r); c.lineTo(r, 0); c.lineTo(0, r); c.lineTo(-r, 0); c.closePath(); },
];

function drawJet(canvas, encoded) {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const scale = window.devicePixelRatio || 1;
  canvas.width = canvas.height = SIDE * scale;
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  const ink = getComputedStyle(canvas).color;
  const dark = Number(/\d+/.exec(ink)[0]) > 128; // light ink: displaced tracks stand out by light, not by shade
  for (let k = 0; k < bytes.length; k += 4) {
    const [eta, phi, share, code] = bytes.subarray(k, k + 4);
    c.save();
    c.translate((eta / 255) * SIDE, (1 - phi / 255) * SIDE);
    c.beginPath();
    SHAPES[code & 7](c, 1.2 + 20 * (share / 255));
    const displaced = (code >> 4) / 15;
    c.strokeStyle = ink;
    c.fillStyle = `hsl(${140 + 130 * displaced} 55% ${dark ? 42 + 36 * displaced : 58 - 28 * displaced}%)`;
    if (code & 8) c.fill();
    else c.stroke();
    c.restore();
  }
}

function makePointed(image, jets) {
  const places = placesOf(image);
  const [box, canvas, text] = [document.createElement("div"), document.createElement("canvas"), document.createElement("div")];
  box.className = "jet";
  box.hidden = true;
  box.setAttribute("role", "status");
  box.append(canvas, text);
  image.parentNode.append(box);
  let shown = null;
  const show = (event) => {
    const area = image.getBoundingClientRect();
    const found = nearest(places, image, event.clientX - area.left, event.clientY - area.top);
    box.hidden = found === null;
    if (found === null || found.jet === shown) return;
    shown = found.jet;
    const [words, constituents] = jets()[shown];
    text.textContent = words;
    drawJet(canvas, constituents);
    const side = found.x > image.clientWidth / 2 ? -SIDE - 34 : 14;
    const [first, room] = [image.parentNode.scrollLeft, image.parentNode.clientWidth - SIDE - 16];
    box.style.left = `${Math.max(Math.min(image.offsetLeft + found.x + side, first + room), first)}px`;
    box.style.top = `${image.offsetTop + Math.max(Math.min(found.y - SIDE / 2, image.clientHeight - SIDE - 60), 0)}px`;
  };
  image.addEventListener("pointermove", show);
  image.addEventListener("pointerdown", show);
  image.addEventListener("pointerleave", () => { box.hidden = true; shown = null; });
}

document.addEventListener("DOMContentLoaded", () => {
  const store = document.getElementById("jets");
  if (!store) return;
  let read = null;
  const jets = () => (read ??= JSON.parse(store.textContent));
  for (const image of document.querySelectorAll("img[data-points]")) makePointed(image, jets);
});
