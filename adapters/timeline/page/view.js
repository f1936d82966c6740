// The part of the trace that is shown, and the record that is looked at.
const gutter = 178; // for names, in pixels
const edge = 14;    // free at the right
const least = 1000; // nanoseconds that can be shown
const bounds = { from: Math.min(0, events.length ? events[0].at : 0), to: Math.max(model.end, 1000) };
const view = { from: bounds.from, to: bounds.to, width: 1000 };
const looked = { record: -1, kept: false };

const plotWidth = () => Math.max(view.width - gutter - edge, 50);
const x = at => gutter + (at - view.from) / (view.to - view.from) * plotWidth();
const timeAt = px => view.from + (px - gutter) / plotWidth() * (view.to - view.from);

const watchers = []; // called when the part that is shown has changed
let drawn = true;

function redraw() {
  if (!drawn) return;
  drawn = false;
  requestAnimationFrame(() => { drawn = true; watchers.forEach(w => w()); });
}

// show goes to a part of the trace, as far as there is something.
function show(from, to) {
  const whole = bounds.to - bounds.from, margin = whole * 0.03;
  const length = Math.min(Math.max(to - from, least), whole + 2 * margin);
  const middle = (from + to) / 2;
  view.from = Math.max(middle - length / 2, bounds.from - margin);
  view.to = Math.min(view.from + length, bounds.to + margin);
  view.from = view.to - length;
  redraw();
}

// fit shows something with some of what is around it.
function fit(from, to) {
  const around = Math.max((to - from) * 0.25, 2e6);
  show(from - around, to + around);
}

const showWhole = () => show(-Infinity === bounds.from ? 0 : bounds.from, bounds.to);

// showFocus shows from the first to the last record after the set-up.
function showFocus() {
  const first = firstIndex(events, e => e.at >= model.began);
  if (first === events.length) return show(model.began, bounds.to);
  const from = events[first].at, to = Math.max(events[events.length - 1].at, lastOfFindings());
  const around = Math.max((to - from) * 0.06, 5e6);
  show(from - around, to + around);
}

const lastOfFindings = () => model.findings.reduce((last, f) => f.sort === 'fault' ? last : Math.max(last, f.to), 0);

function zoom(factor, at = (view.from + view.to) / 2) {
  const length = Math.max((view.to - view.from) * factor, least);
  const share = (at - view.from) / (view.to - view.from);
  show(at - share * length, at + (1 - share) * length);
}

function pan(share) {
  const by = share * (view.to - view.from);
  show(view.from + by, view.to + by);
}

// bring moves a record into view, without zooming.
function bring(i) {
  const at = events[i].at, length = view.to - view.from;
  if (at < view.from || at > view.to) show(at - length / 2, at + length / 2);
  scrollToRecord(i);
}

// look makes a record the one that is looked at: its text and its arrows are shown. One that is kept stays when the pointer
// goes on.
function look(i, kept) {
  looked.record = i;
  looked.kept = kept && i >= 0;
  byId('plot').dataset.record = i;
  if (kept && i >= 0) byId('status').textContent = line(events[i]) + '. ' + markOf(events[i].kind).means;
  drawOverlay();
  markTable();
}

// step looks at a record before or after, of all.
function step(by) {
  if (!events.length) return;
  let i = looked.record >= 0 ? looked.record + by : firstIndex(events, e => e.at >= view.from) - (by < 0 ? 1 : 0);
  i = Math.min(Math.max(i, 0), events.length - 1);
  bring(i);
  look(i, true);
  showTip(i);
}
