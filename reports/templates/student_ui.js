"use strict";
// What the reader does with the model: class, order, noise, and which squares are masked.

(() => {
  const form = document.getElementById("student");
  if (!form) return;
  const { config, table } = JSON.parse(document.getElementById("student-config").textContent);
  const field = (name) => document.getElementById(`student-${name}`);
  const side = config.mar.side, N = side * side, channels = config.mar.channels;
  const canvas = form.querySelector("canvas"), cells = form.querySelector(".cells"), status = form.querySelector("[role=status]");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let student = null, tokens = null, pressed = [], run = 0;

  const buttons = [...Array(N).keys()].map((p) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `row ${Math.floor(p / side) + 1}, column ${(p % side) + 1}`);
    cells.append(button);
    button.addEventListener("click", (event) => event.detail === 0 && press(p, !isMasked(p))); // by key
    button.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      button.focus();
      painting = !isMasked(p);
      press(p, painting);
    });
    button.addEventListener("pointerenter", (event) => event.buttons && painting !== null && press(p, painting));
    return button;
  });
  let painting = null;
  addEventListener("pointerup", () => (painting = null));

  const isMasked = (p) => pressed.includes(p);

  function press(p, masked) {
    run += 1; // whatever is being drawn ends here
    pressed = pressed.filter((q) => q !== p);
    if (masked) pressed.push(p);
    mark();
  }

  function mark() {
    buttons.forEach((button, p) => button.setAttribute("aria-pressed", String(isMasked(p))));
  }

  function all(masked) {
    run += 1;
    pressed = masked ? Student.fixedOrder("raster", side) : [];
    mark();
  }

  function show(shown) {
    const image = Student.decode(student, shown), area = image.side * image.side;
    canvas.width = canvas.height = image.side;
    const context = canvas.getContext("2d"), pixels = context.createImageData(image.side, image.side);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) {
        const value = image.data[(image.channels === 1 ? 0 : c) * area + i];
        pixels.data[4 * i + c] = Math.round((Math.max(-1, Math.min(1, value)) + 1) * 127.5);
      }
      pixels.data[4 * i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  /** The masked squares, the last one to be revealed first in the list; behind them those that are kept. */
  function orderOf(permutation) {
    const law = field("order").value, masked = new Set(pressed);
    const first = law === "painted" ? [...pressed] : law === "random" ? permutation : Student.fixedOrder(law, side);
    const kept = [...Array(N).keys()].filter((p) => !masked.has(p));
    return [...first.filter((p) => masked.has(p)).reverse(), ...kept];
  }

  async function draw() {
    if (!tokens || !pressed.length) all(true);
    const mine = (run += 1), count = pressed.length, seed = Number(field("seed").value) >>> 0;
    const from = performance.now();
    student ??= { config, weights: Student.weightsFrom(document.getElementById("student-weights").textContent, table) };
    const { permutation, start } = Student.draws(seed, N, channels), order = orderOf(permutation);
    const steps = Math.min(Number(field("steps").value), count);
    const label = Number(field("class").value), known = tokens && tokens.slice();
    let spent = 0, k = 0;
    const moments = Student.sample(student, label, order, start, steps, known, N - count);
    for (;;) {
      const before = performance.now(), next = moments.next();
      spent += performance.now() - before;
      if (next.done || mine !== run) break;
      tokens = next.value.tokens;
      k += 1;
      pressed = pressed.filter((p) => next.value.masked.includes(p));
      mark();
      if (!still.matches || k === steps) show(tokens);
      status.textContent = `Seed ${seed}: step ${k} of ${steps}, ${count - pressed.length} of ${count} squares.`;
      if (k === 1) form.dataset.first = String(Math.round(performance.now() - from));
      if (k < steps && !still.matches) await new Promise((resolve) => setTimeout(resolve, 220));
      if (mine !== run) break;
    }
    if (mine === run) {
      status.textContent = `Seed ${seed}: ${count} squares in ${steps} AR steps, ${spent.toFixed(0)} ms of arithmetic here.`;
      form.dataset.done = String(Math.round(performance.now() - from));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  form.addEventListener("click", (event) => {
    const act = event.target.dataset.act;
    if (act === "mask") all(true);
    if (act === "keep") all(false);
    if (act === "again") {
      all(true);
      field("seed").value = String((Number(field("seed").value) + 1) >>> 0);
      draw();
    }
  });
  field("steps").addEventListener("input", (event) => (form.querySelector("output").textContent = event.target.value));
  field("class").addEventListener("change", () => (all(true), draw()));
  form.hidden = false;
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    draw();
  }).observe(form);
})();
