// What lies over the rows: overlaps, violations, arrows, the axis, and the patterns of all.
function drawOverlaps(row, to) {
  let right = gutter;
  const band = model.bands[row.band];
  for (const o of band.overlaps) {
    if (o.to < view.from || o.from > view.to) continue;
    const left = Math.max(x(o.from), gutter - 4), width = Math.max(Math.min(x(o.to), view.width) - left, 3);
    const made = svg('g', { class: 'overlap' });
    made.bar = o;
    made.row = { kind: 'overlap', band: row.band };
    made.append(svg('rect', { x: left, y: row.y + 1, width, height: row.whole - 2, class: 'overlap-fill' }));
    made.append(svg('rect', { x: left, y: row.y + 1, width, height: row.h - 2, fill: 'url(#overlap)' }));
    const text = `${o.text} answer at once: ${lasting(o.to - o.from)}`;
    right = beside(made, text, text.length * 6.8 < width ? Math.max(left, gutter) : left + width, right, row.y + 16, 'overlap-text');
    to.append(made);
  }
  // A black hole that is too narrow for its text has it above.
  for (const reach of band.reach) {
    const first = firstIndex(reach.bars, b => b.to >= view.from);
    for (let i = first; i < reach.bars.length && reach.bars[i].from <= view.to && right < view.width; i++) {
      const hole = reach.bars[i], left = Math.max(x(hole.from), gutter);
      if (hole.state !== 'dark' || Math.min(x(hole.to), view.width) - left > 150 || left < right) continue;
      right = beside(to, 'nobody answers: ' + lasting(hole.to - hole.from), left, right, row.y + 16, 'dark-text');
    }
  }
}

// beside writes a text at a place, unless another one is there, and says where it ends.
function beside(to, text, left, right, y, name) {
  const width = text.length * 6.6 + 10;
  const at = Math.min(left, view.width - width - edge);
  if (at < right) return right;
  to.append(svg('text', { x: at + 4, y, class: name }, text));
  return at + width;
}

function drawViolations(to) {
  let free = gutter; // of other texts
  for (const f of model.findings) {
    if (f.sort !== 'violation' || f.from < view.from || f.from > view.to) continue;
    const at = x(f.from);
    const made = svg('g', { class: 'violation' });
    made.append(svg('line', { x1: at, x2: at, y1: 0, y2: rowsHeight }));
    const width = f.text.length * 6.8, begin = Math.max(gutter + 4, at + 6 + width < view.width ? at + 6 : at - 6 - width);
    if (begin >= free) {
      made.append(svg('text', { x: begin, y: byId('plot').scrollTop + 15 }, f.text));
      free = begin + width;
    }
    to.append(made);
  }
}

// chain is what a record rests on, all the way back, and what rests on it directly: pairs with how far they are.
function chain(i) {
  const arrows = [], seen = new Set([i]);
  let now = [i];
  for (let depth = 0; depth < 6 && now.length; depth++) {
    const before = [];
    for (const effect of now) {
      for (const cause of events[effect].on || []) {
        if (arrows.length < 60) arrows.push({ cause, effect, depth });
        if (!seen.has(cause)) { seen.add(cause); before.push(cause); }
      }
    }
    now = before;
  }
  leads[i].slice(0, 40).forEach(effect => arrows.push({ cause: i, effect, depth: 0 }));
  return arrows;
}

function drawOverlay() {
  const over = byId('overlay');
  if (!over) return;
  over.replaceChildren();
  const i = looked.record;
  if (i < 0) return;
  const at = x(events[i].at);
  over.append(svg('line', { class: 'looked-at', x1: at, x2: at, y1: 0, y2: rowsHeight }));
  for (const a of chain(i)) isDrawn(a) && over.append(arrow(a, i));
  over.append(svg('circle', { class: 'ring', cx: at, cy: placeOf(i), r: 11 }));
}

// An arrow is drawn if one of its ends is in view and they are not in one place.
function isDrawn({ cause, effect }) {
  const inView = i => events[i].at >= view.from && events[i].at <= view.to;
  const apart = Math.abs(x(events[cause].at) - x(events[effect].at)) + Math.abs(placeOf(cause) - placeOf(effect));
  return (inView(cause) || inView(effect)) && apart > markSize;
}

function arrow({ cause, effect, depth }, i) {
  const clamp = px => Math.min(Math.max(px, gutter), view.width - 4);
  const x1 = clamp(x(events[cause].at)), x2 = clamp(x(events[effect].at));
  const y1 = placeOf(cause), y2 = placeOf(effect);
  const down = y2 >= y1 ? 1 : -1, bend = Math.max(Math.abs(x2 - x1) / 2, 24);
  const end = y2 - down * (Math.abs(y2 - y1) > 18 ? 9 : 0), start = y1 + down * (Math.abs(y2 - y1) > 18 ? 8 : 0);
  const path = Math.abs(y2 - y1) > 18
    ? `M${x1},${start} C${x1},${start + down * 22} ${x2},${end - down * 26} ${x2},${end}`
    : `M${x1 + 8},${y1} C${x1 + bend},${y1 - 20} ${x2 - bend},${y2 - 20} ${x2 - 9},${y2 - 4}`;
  return svg('path', {
    class: 'arrow ' + (effect === i || depth > 0 ? 'cause' : 'effect') + (depth > 0 ? ' far' : ''), d: path,
    'marker-end': 'url(#head)', 'data-cause': cause, 'data-effect': effect,
  });
}

// axisTimes are round times in view, and with how many digits they differ.
function axisTimes() {
  const length = view.to - view.from, rough = length / (plotWidth() / 110);
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = Math.max([1, 2, 5, 10].find(n => n * power >= rough) * power, 1);
  const times = [];
  for (let n = Math.ceil(view.from / size); n * size <= view.to && times.length < 100; n++) times.push(n * size);
  return { times, digits: Math.min(Math.max(0, Math.ceil(9 - Math.log10(size) - 1e-9)), 9) };
}

function drawAxis() {
  const axis = byId('axis'), { times, digits } = axisTimes();
  axis.setAttribute('width', view.width);
  axis.replaceChildren(svg('text', { x: 8, y: 16, class: 'small' }, 'seconds'));
  for (const at of times) {
    axis.append(svg('line', { x1: x(at), x2: x(at), y1: 17, y2: 23, class: 'tick' }));
    axis.append(svg('text', { x: x(at), y: 14, 'text-anchor': 'middle', class: 'small' }, seconds(at, digits)));
  }
  const digitsOf = Math.min(9, Math.max(3, digits));
  byId('window').textContent = `${seconds(view.from, digitsOf)} – ${seconds(view.to, digitsOf)} s (${lasting(view.to - view.from)})`;
}

function definitions() {
  const all = svg('defs', {});
  const clip = svg('clipPath', { id: 'inside' });
  clip.append(svg('rect', { x: gutter, y: 0, width: Math.max(view.width - gutter, 0), height: rowsHeight }));
  const head = svg('marker', { id: 'head', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto', markerUnits: 'userSpaceOnUse' });
  head.append(svg('path', { d: 'M0,0 L8,4 L0,8 Z', class: 'head' }));
  all.append(clip, head);
  // Each node has a pattern of its own; the first is plain.
  const lines = ['', 'M0,8 L8,0', 'M2,2 h2 v2 h-2 Z M6,6 h2 v2 h-2 Z', 'M4,0 V8', 'M0,0 L8,8', 'M0,4 H8', 'M4,0 V8 M0,4 H8'];
  lines.forEach((d, i) => d && all.append(pattern('node-' + i, 8, d)));
  all.append(pattern('holding', 10, 'M-2,12 L12,-2 M-2,2 L2,-2 M8,12 L12,8'));
  all.append(pattern('down', 7, 'M0,0 L7,7 M7,0 L0,7'), pattern('dark', 6, 'M0,6 L6,0'), pattern('fault', 8, 'M0,0 L8,8'));
  all.append(pattern('overlap', 9, 'M0,9 L9,0 M0,0 L9,9'));
  return all;
}

function pattern(id, size, d) {
  const made = svg('pattern', { id, width: size, height: size, patternUnits: 'userSpaceOnUse' });
  made.append(svg('path', { d, class: 'pattern-' + id.replace(/-.*/, '') }));
  return made;
}
