// The drawing: only what is in view, and one mark for what falls on one place.
const markSize = 15;
const letter = 6.1; // the width of one, about, at 11 pixels

function drawRows() {
  const plot = byId('plot'), drawing = byId('rows');
  view.width = plot.clientWidth;
  drawing.setAttribute('width', view.width);
  drawing.setAttribute('height', rowsHeight);
  plot.dataset.from = Math.round(view.from);
  plot.dataset.to = Math.round(view.to);
  const top = plot.scrollTop, bottom = top + plot.clientHeight;
  const ground = svg('g', { class: 'ground' }), inside = svg('g', { 'clip-path': 'url(#inside)' }), names = svg('g', { class: 'names' });
  drawGround(inside, top, bottom);
  const visible = rows.filter(row => row.y + Math.max(row.h, row.whole || 0) >= top && row.y <= bottom);
  visible.forEach(row => drawRow(row, ground, inside, names));
  visible.forEach(row => row.kind === 'address' && drawOverlaps(row, inside));
  drawViolations(inside);
  drawing.replaceChildren(definitions(), ground, inside, names, svg('g', { id: 'overlay', 'clip-path': 'url(#inside)' }));
}

function drawGround(to, top, bottom) {
  for (const at of axisTimes().times) {
    to.append(svg('line', { class: 'grid', x1: x(at), x2: x(at), y1: top, y2: Math.min(bottom, rowsHeight) }));
  }
  if (model.began > view.from && model.began > 0) {
    const width = Math.min(x(model.began), view.width) - gutter;
    to.append(svg('rect', { class: 'set-up', x: gutter, y: 0, width: Math.max(width, 0), height: rowsHeight }));
    if (width > 60) to.append(svg('text', { class: 'set-up-name', x: gutter + width - 6, y: top + 15, 'text-anchor': 'end' }, 'set-up'));
  }
}

function drawRow(row, ground, inside, names) {
  const middle = row.y + row.h / 2;
  switch (row.kind) {
    case 'title':
      names.append(svg('text', { class: 'title', x: 8, y: row.y + 16 }, row.label));
      return;
    case 'fault':
      row.bars && drawBars(row, inside, { y: row.y + 1, h: row.h - (row.h > 20 ? 4 : 2) });
      break;
    case 'node':
      drawBars({ bars: row.lane.bars, kind: 'node' }, inside, { y: row.y + 23, h: 16 });
      drawMarks(row, inside, row.y + 12);
      break;
    case 'lane':
      drawMarks(row, inside, middle);
      break;
    case 'address':
      ground.append(svg('rect', { class: 'band', x: 0, y: row.y, width: view.width, height: row.whole, rx: 4 }));
      names.append(svg('text', { class: 'address', x: 8, y: middle + 5 }, row.label));
      return;
    default:
      drawBars(row, inside, { y: row.y + 1, h: row.h - 3 });
  }
  ground.append(svg('line', { class: 'rule', x1: 0, x2: view.width, y1: row.y + row.h, y2: row.y + row.h }));
  drawName(row, names, row.kind === 'node' ? row.y + 26 : middle + 4);
}

function drawName(row, names, y) {
  const node = row.kind === 'node' ? row.lane.node : row.kind === 'announce' ? row.node : -1;
  if (node >= 0) {
    names.append(svg('rect', { class: 'node-' + node % 7, x: 8, y: y - 10, width: 12, height: 12, rx: 2 }));
    names.append(svg('rect', { fill: `url(#node-${node % 7})`, x: 8, y: y - 10, width: 12, height: 12, rx: 2 }));
  }
  const fits = row.kind === 'node' ? 17 : 22;
  const label = row.label.length > fits ? row.label.slice(0, fits - 1) + '…' : row.label;
  const name = svg('text', { class: row.kind === 'node' ? 'name' : 'small', x: 26, y }, label);
  name.append(svg('title', {}, row.label));
  names.append(name);
}

// drawBars draws what lasts; of what is too narrow to see only the first on a pixel, and never hides a black hole.
function drawBars(row, to, place) {
  const first = firstIndex(row.bars, b => b.to >= view.from);
  let right = -1, darkRight = -1;
  for (let i = first; i < row.bars.length && row.bars[i].from <= view.to; i++) {
    const bar = row.bars[i];
    const left = Math.max(x(bar.from), gutter - 4), end = Math.min(x(bar.to), view.width);
    const isDark = bar.state === 'dark';
    if (end - left < 1 && left < (isDark ? darkRight : right)) continue;
    right = Math.max(left + 1, end);
    if (isDark) darkRight = right;
    to.append(drawBar(row, bar, left, Math.max(end - left, isDark ? 3 : 1), place));
  }
}

function drawBar(row, bar, left, width, place) {
  const made = svg('g', { class: `bar ${row.kind} state-${(bar.state || 'none').replace(' ', '-')}` });
  made.bar = bar;
  made.row = row;
  const momentary = row.kind === 'fault' && bar.to <= bar.from;
  const box = { x: left, y: place.y, width: momentary ? 4 : width, height: place.h, rx: 2 };
  const node = bar.node >= 0 && row.kind !== 'fault' ? bar.node % 7 : -1;
  made.append(svg('rect', { ...box, class: 'fill' + (node >= 0 ? ' node-' + node : '') }));
  const pattern = patternOf(row, bar, node);
  if (pattern) made.append(svg('rect', { ...box, fill: `url(#${pattern})`, class: 'pattern' }));
  const visible = Math.max(left, gutter);
  const text = fitting(wordsOf(row, bar), momentary ? roomAfter(row, bar, visible) : left + width - visible - 8);
  if (text) {
    const label = { x: visible + (momentary ? 8 : 5), y: place.y + place.h / 2 + 4, class: 'label' + (node >= 0 ? ' on-' + node : '') };
    made.append(svg('text', label, text));
  }
  return made;
}

const roomAfter = (row, bar, left) => {
  const next = row.bars[row.bars.indexOf(bar) + 1];
  return (next ? Math.min(x(next.from), view.width) : view.width) - left - 12;
};

function patternOf(row, bar, node) {
  if (row.kind === 'fault') return 'fault';
  switch (bar.state) {
    case 'dark': return 'dark';
    case 'down': return 'down';
    case 'holding': case 'held': return 'holding';
    case 'leased': case 'announcing': case 'reached': case 'handing over': return node > 0 ? 'node-' + node : '';
  }
  return '';
}

// wordsOf says what a bar means, the longest first.
function wordsOf(row, bar) {
  const length = lasting(bar.to - bar.from), name = nodeName(bar.node);
  switch (bar.state) {
    case 'dark': return ['nobody answers for ' + length, 'nobody: ' + length, length];
    case 'between': return [];
    case 'reached': return [(bar.text || 'somebody') + ' answers', bar.text || 'somebody'];
    case 'announcing': return [name + ' announces it', name];
    case 'held': return [name + ' holds it without a lease', 'holds'];
    case 'handing over': return [name + ' hands it over', 'hands over'];
    case 'probing': return [name + ' probes for it', 'probes'];
  }
  if (row.kind === 'fault') return [bar.text];
  const means = states.get(bar.state);
  return means ? [means.means, bar.state] : [];
}

function fitting(words, room) {
  const whole = words.find(w => w.length * letter <= room);
  if (whole) return whole;
  if (!words.length) return '';
  const last = words[words.length - 1], fits = Math.floor(room / letter) - 1;
  return fits >= 4 ? last.slice(0, fits) + '…' : '';
}

// drawMarks draws records; those that would hide each other are one mark with their number.
function drawMarks(row, to, y) {
  const first = firstIndex(row.records, r => events[r].at >= view.from);
  const groups = [];
  for (let i = first; i < row.records.length && events[row.records[i]].at <= view.to; i++) {
    const at = x(events[row.records[i]].at), last = groups[groups.length - 1];
    if (last && at - last.x < markSize + 1) last.records.push(row.records[i]);
    else groups.push({ x: at, records: [row.records[i]] });
  }
  groups.forEach((g, i) => {
    const next = i + 1 < groups.length ? groups[i + 1].x : view.width;
    const before = i > 0 ? groups[i - 1].right : gutter;
    to.append(drawMark(g, y, next - g.x - markSize - 6, g.x - before - markSize));
  });
}

const moods = ['neutral', 'good', 'change', 'bad'];

// A mark has its words beside it: after it, or before it where there is more room.
function drawMark(group, y, room, roomBefore) {
  const kinds = group.records.map(r => markOf(events[r].kind));
  const worst = kinds.reduce((a, b) => moods.indexOf(b.mood) > moods.indexOf(a.mood) ? b : a);
  const several = group.records.length > 1;
  const made = svg('g', { class: 'mark mood-' + worst.mood + (several ? ' several' : '') });
  made.records = group.records;
  made.dataset.records = group.records.join(' ');
  if (search.hits) made.classList.add(group.records.some(r => search.is[r]) ? 'hit' : 'miss');
  const text = several ? String(group.records.length) : worst.mark;
  const width = Math.max(markSize, text.length * 7 + 4);
  made.append(svg('rect', { x: group.x - markSize / 2, y: y - markSize / 2, width, height: markSize, rx: several ? 7 : 3 }));
  made.append(svg('text', { x: group.x - markSize / 2 + width / 2, y: y + 4, 'text-anchor': 'middle', class: 'sign' }, text));
  const words = several ? mostOf(kinds) : brief(events[group.records[0]]), needs = words.length * letter;
  const left = group.x - markSize / 2, right = left + width + 4;
  room -= width - markSize;
  if (needs > room && needs <= roomBefore) {
    made.append(svg('text', { x: left - 4, y: y + 4, class: 'beside', 'text-anchor': 'end' }, words));
    group.right = right;
    return made;
  }
  const short = fitting([words], room);
  if (short) made.append(svg('text', { x: right, y: y + 4, class: 'beside' }, short));
  group.right = right + short.length * letter;
  return made;
}

// mostOf names the kinds of several records, each once.
const mostOf = kinds => [...new Set(kinds.map(k => k.kind || 'others'))].join(', ');
