// The text of what the pointer or the keyboard is at.
const tip = byId('tip');

function tipList(title, records) {
  if (!records.length) return [];
  const list = element('ul', {});
  records.slice(0, 6).forEach(r => list.append(element('li', {}, line(events[r]))));
  if (records.length > 6) list.append(element('li', {}, `and ${records.length - 6} more`));
  return [element('h3', {}, title), list];
}

function tipOfRecord(i) {
  const e = events[i], mark = markOf(e.kind);
  return [
    element('p', { class: 'line' }, line(e)), element('p', { class: 'means' }, mark.mark + ' ' + mark.means),
    ...tipList('It rests on', e.on || []), ...tipList('On it rest', leads[i]),
  ];
}

function tipOfBar(bar, row) {
  const words = row.kind === 'overlap' ? bar.text + ' both answer for ' + model.bands[row.band].address : wordsOf(row, bar)[0] || 'two answers';
  const where = row.band >= 0 && row.kind !== 'overlap' ? model.bands[row.band].address + ': ' : row.lane ? row.lane.name + ': ' : '';
  const who = row.client ? row.client + ': ' : '';
  const parts = [element('p', { class: 'line' }, where + who + words)];
  const until = bar.to > bar.from ? ` to ${bar.open ? 'the end' : seconds(bar.to, 6) + ' s'}, ${lasting(bar.to - bar.from)}` : '';
  parts.push(element('p', {}, `${seconds(bar.from, 6)} s${until}`));
  if (bar.text && row.kind === 'announce') parts.push(element('p', {}, 'then: ' + bar.text));
  return parts;
}

// placeTip puts a text beside a place, where arrows, which mostly go up and down, are not hidden; below it if there is no room.
function placeTip(parts, left, top) {
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), away = 46;
  const beside = left + away + box.width < innerWidth ? left + away : left - away - box.width;
  const y = beside > 4 ? top - 14 : top + 22;
  tip.style.left = Math.max(4, beside) + 'px';
  tip.style.top = Math.max(4, Math.min(y, innerHeight - box.height - 4)) + 'px';
}

// showTip shows a record's text beside its mark.
function showTip(i) {
  const plot = byId('plot').getBoundingClientRect();
  placeTip(tipOfRecord(i), plot.left + x(events[i].at), plot.top + placeOf(i) - byId('plot').scrollTop);
}

function hideTip() {
  tip.hidden = true;
  look(-1, false);
}

function over(event) {
  if (looked.kept || dragging) return;
  const made = event.target.closest('.mark, .bar, .overlap');
  if (!made) return hideTip();
  if (made.bar) {
    look(made.row.kind === 'fault' ? made.bar.record : -1, false);
    return placeTip(tipOfBar(made.bar, made.row), event.clientX, event.clientY);
  }
  look(made.records[0], false);
  if (made.records.length === 1) return showTip(made.records[0]);
  placeTip(tipList(made.records.length + ' records; a click zooms in', made.records), event.clientX, event.clientY);
}

function clicked(event) {
  const made = event.target.closest('.mark, .bar');
  if (!made) return hideTip();
  if (made.bar) {
    if (made.bar.record < 0) return;
    look(made.bar.record, true);
    return showTip(made.bar.record);
  }
  const from = events[made.records[0]].at, to = events[made.records[made.records.length - 1]].at;
  if (made.records.length > 1 && to > from) return hideTip(), fit(from, to);
  look(made.records[0], true);
  made.records.length > 1 ? placeTip(tipList('At one time', made.records), event.clientX, event.clientY) : showTip(made.records[0]);
}

let dragging = null;

// Dragging moves the drawing; on the axis it chooses what to zoom to.
function startDrag(event, choosing) {
  if (event.button !== 0) return;
  const plot = byId('plot');
  dragging = { x: event.clientX, y: event.clientY, from: view.from, to: view.to, top: plot.scrollTop, choosing, moved: false };
}

function drag(event) {
  if (!dragging) return;
  const by = event.clientX - dragging.x, plot = byId('plot');
  if (Math.abs(by) + Math.abs(event.clientY - dragging.y) > 4) dragging.moved = true;
  if (!dragging.moved || dragging.choosing) return;
  const time = by / plotWidth() * (dragging.to - dragging.from);
  plot.scrollTop = dragging.top - (event.clientY - dragging.y);
  show(dragging.from - time, dragging.to - time);
}

function endDrag(event) {
  const was = dragging;
  dragging = null;
  if (!was || !was.moved || !was.choosing) return was;
  const left = byId('axis').getBoundingClientRect().left;
  const [from, to] = [timeAt(was.x - left), timeAt(event.clientX - left)].sort((a, b) => a - b);
  show(from, to);
  return was;
}

function wheel(event) {
  const left = byId('plot').getBoundingClientRect().left;
  if (event.clientX - left < gutter) return; // names scroll
  event.preventDefault();
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan((event.deltaX || event.deltaY) / 1000);
  zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), timeAt(event.clientX - left));
}

function watchPointer() {
  const plot = byId('plot');
  plot.addEventListener('pointermove', over);
  plot.addEventListener('pointerleave', () => looked.kept || hideTip());
  plot.addEventListener('pointerdown', e => startDrag(e, false));
  byId('axis').addEventListener('pointerdown', e => startDrag(e, true));
  addEventListener('pointermove', drag);
  addEventListener('pointerup', event => {
    const was = endDrag(event);
    if (was && !was.moved && !was.choosing && plot.contains(event.target)) clicked(event);
  });
  for (const target of [plot, byId('axis')]) target.addEventListener('wheel', wheel, { passive: false });
  plot.addEventListener('scroll', redraw);
}
