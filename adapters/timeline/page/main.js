// The overview, which shows where in the trace the drawing is; and the beginning of it all.
const bins = 400;

function overviewPath() {
  const counts = new Array(bins).fill(0), length = bounds.to - bounds.from;
  events.forEach(e => { counts[Math.min(bins - 1, Math.max(0, Math.floor((e.at - bounds.from) / length * bins)))]++; });
  const most = Math.log1p(Math.max(1, ...counts));
  return counts.map(n => Math.log1p(n) / most);
}

const overviewHeight = 34;
let overviewWidth = 0; // for which it was drawn

// drawWhole draws what does not change with the window, and of what is on one pixel only the first.
function drawWhole(overview, width, at) {
  const parts = [], height = overviewHeight, right = {};
  if (model.began > 0) parts.push(svg('rect', { class: 'set-up', x: 0, y: 0, width: Math.max(at(model.began), 0), height }));
  const bin = width / bins, most = height - 8;
  overviewPath().forEach((n, i) => n && parts.push(svg('rect', { class: 'density', x: i * bin, y: height - n * most, width: bin, height: n * most })));
  for (const f of model.findings) {
    if (f.sort === 'move' || f.sort === 'fault' && f.to <= f.from || at(f.to) < right[f.sort]) continue;
    const box = { x: at(f.from), y: 0, width: Math.max(at(f.to) - at(f.from), 2), height: 5 };
    right[f.sort] = box.x + box.width;
    parts.push(svg('rect', { ...box, class: 'sort-' + f.sort.replace(' ', '-') }));
  }
  overview.replaceChildren(...parts, svg('rect', { class: 'shown', y: 1, height: height - 2, rx: 3 }));
}

function drawOverview() {
  const overview = byId('overview'), width = overview.clientWidth;
  const at = time => (time - bounds.from) / (bounds.to - bounds.from) * width;
  if (width !== overviewWidth) drawWhole(overview, overviewWidth = width, at);
  const left = Math.max(at(view.from), 0), right = Math.min(at(view.to), width);
  overview.lastChild.setAttribute('x', left);
  overview.lastChild.setAttribute('width', Math.max(right - left, 4));
  overview.setAttribute('aria-valuemin', seconds(bounds.from));
  overview.setAttribute('aria-valuemax', seconds(bounds.to));
  overview.setAttribute('aria-valuenow', seconds((view.from + view.to) / 2));
  overview.setAttribute('aria-valuetext', byId('window').textContent);
}

function watchOverview() {
  const overview = byId('overview');
  let held = false;
  const go = event => {
    const box = overview.getBoundingClientRect(), length = view.to - view.from;
    const time = bounds.from + (event.clientX - box.left) / box.width * (bounds.to - bounds.from);
    show(time - length / 2, time + length / 2);
  };
  overview.addEventListener('pointerdown', event => { held = true; overview.setPointerCapture(event.pointerId); go(event); });
  overview.addEventListener('pointermove', event => held && go(event));
  overview.addEventListener('pointerup', () => { held = false; });
}

drawHead();
drawChips();
drawFindings();
layOut();
drawLegend();
watchPointer();
watchSearch();
watchTable();
watchKeys();
watchOverview();
watchTheme();
watchers.push(drawRows, drawAxis, drawOverlay, drawOverview, fillTable, () => looked.kept && !tip.hidden && looked.record >= 0 && showTip(looked.record));
addEventListener('resize', redraw);
showFocus();
document.documentElement.dataset.ready = 'true';
