// Pictures: the taggram that scrolls, and the embedding's trail.

// magma (Smith, van der Walt & Firing 2015): brightness rises evenly, so it is read without seeing colours, too.
const STOPS = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
const RAMP = Array.from({ length: 101 }, (_, percent) => {
  const place = (percent / 100) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  const mixed = STOPS[below].map((value, i) => Math.round(value + (place - below) * (STOPS[below + 1][i] - value)));
  return `rgb(${mixed.join(" ")})`;
});
const GAP = "#3d4350";

export class Taggram {
  constructor(canvas, rows, seconds, step) {
    this.columns = Math.round(seconds / step);
    this.step = step;
    this.rows = rows;
    canvas.width = this.columns;
    canvas.height = rows;
    canvas.style.imageRendering = "pixelated";
    this.context = canvas.getContext("2d"); // what was not heard stays transparent, for black is 0
    this.time = null;
  }

  // A column of scores in percent; what lies between it and the one before, if that is long, is a gap.
  add(time, percent) {
    if (this.time !== null && time < this.time) this.time = null; // a session begun anew
    const steps = this.time === null ? 1 : Math.floor((time - this.time) / this.step + 1e-6);
    if (steps < 1) return;
    if (steps > 4) for (let i = 1; i < Math.min(steps, this.columns); i++) this.column(null);
    else for (let i = 1; i < steps; i++) this.column(percent);
    this.column(percent);
    this.time = this.time === null || steps > 4 ? time : this.time + steps * this.step;
  }

  column(percent) {
    const { context, columns, rows } = this;
    context.drawImage(context.canvas, 1, 0, columns - 1, rows, 0, 0, columns - 1, rows);
    for (let row = 0; row < rows; row++) {
      context.fillStyle = percent === null ? GAP : RAMP[Math.max(0, Math.min(100, percent[row]))];
      context.fillRect(columns - 1, row, 1, 1);
    }
  }
}

export class Trail {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.points = [];
  }

  add([x, y, z]) {
    this.points.push([x, y, z]);
    if (this.points.length > 240) this.points.shift();
    const { context, canvas, points } = this;
    const style = getComputedStyle(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    points.forEach(([px, py, pz], i) => {
      context.globalAlpha = 0.08 + 0.9 * (i / points.length) ** 2;
      context.fillStyle = style.getPropertyValue(i === points.length - 1 ? "--on" : "--bar");
      context.beginPath();
      const radius = (i === points.length - 1 ? 7 : 2.5) * (1 + 0.4 * pz);
      context.arc((0.5 + 0.45 * px) * canvas.width, (0.5 - 0.45 * py) * canvas.height, radius, 0, 7);
      context.fill();
    });
    context.globalAlpha = 1;
  }
}
