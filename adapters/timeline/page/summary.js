// The sentences on top, each a way to what it says.
const sorts = [
  ['violation', 'V', 'Violations'], ['overlap', '%', 'Two at once'], ['black hole', 'o', 'Black holes'], ['move', '^', 'Moves'], ['fault', '!', 'Faults'],
];
const hiddenSorts = new Set();
let findingsShown = 200;

function drawHead() {
  byId('title').textContent = data.title || 'Timeline';
  const verdict = byId('verdict');
  verdict.hidden = !data.verdict;
  verdict.className = data.ok ? 'ok' : 'not-ok';
  verdict.append(element('b', {}, (data.ok ? '✓ ' : '✗ ') + data.verdict), data.why ? ' ' + data.why : '');
  byId('again').hidden = !data.command;
  byId('command').textContent = data.command;
  byId('script').hidden = !data.script;
  byId('script-text').textContent = data.script;
}

function drawChips() {
  const chips = byId('chips');
  for (const [sort, sign, name] of sorts) {
    const count = model.findings.filter(f => f.sort === sort).length;
    const chip = element('button', { type: 'button', class: 'chip sort-' + sort.replace(' ', '-'), 'aria-pressed': 'true' },
      element('span', { class: 'sign' }, sign), ` ${name} `, element('b', {}, String(count)));
    chip.disabled = count === 0;
    chip.addEventListener('click', () => {
      hiddenSorts.has(sort) ? hiddenSorts.delete(sort) : hiddenSorts.add(sort);
      chip.setAttribute('aria-pressed', String(!hiddenSorts.has(sort)));
      drawFindings();
    });
    chips.append(chip);
  }
}

function drawFindings() {
  const list = byId('findings'), all = model.findings.filter(f => !hiddenSorts.has(f.sort));
  list.replaceChildren(...all.slice(0, findingsShown).map(findingItem));
  if (all.length > findingsShown) {
    const more = element('button', { type: 'button' }, `${all.length - findingsShown} more`);
    more.addEventListener('click', () => { findingsShown += 1000; drawFindings(); });
    list.append(element('li', {}, more));
  }
  if (!model.findings.length) list.append(element('li', { class: 'calm' }, 'Nothing: no fault, no move, and all requests were answered.'));
}

function findingItem(f) {
  const sign = sorts.find(s => s[0] === f.sort)[1];
  const button = element('button', { type: 'button', class: 'finding sort-' + f.sort.replace(' ', '-') },
    element('span', { class: 'sign', 'aria-hidden': 'true' }, sign), element('span', { class: 'time' }, seconds(f.at) + ' s'),
    element('span', { class: 'text' }, f.text));
  button.addEventListener('click', () => {
    byId('findings').querySelectorAll('[aria-current]').forEach(b => b.removeAttribute('aria-current'));
    button.setAttribute('aria-current', 'true');
    jump(f);
  });
  return element('li', {}, button);
}

// jump zooms to what a sentence says.
function jump(f) {
  hideTip();
  fit(f.from, f.to);
  if (f.band >= 0) scrollTo(bandRows[f.band].y, bandRows[f.band].whole);
  else if (f.record >= 0) scrollToRecord(f.record);
  if (f.record >= 0) look(f.record, true);
  byId('status').textContent = f.text;
}

function drawLegend() {
  const body = byId('legend-body'), list = element('dl', { class: 'marks' });
  for (const m of [...data.marks, data.other]) {
    list.append(element('dt', { class: 'mood-' + m.mood }, m.mark), element('dd', {}, element('b', {}, m.kind || 'others'), ' ' + m.means));
  }
  body.append(element('p', {}, 'Each node has one colour and one pattern, in its lane, where it announces and where clients reach it. A number in ' +
    'place of a sign is that many records in one place. Arrows lead from what came first to what rests on it.'));
  body.append(swatches(), list);
}

// swatches are drawn by what draws the rows.
function swatches() {
  const all = element('ul', { class: 'swatches' });
  const add = (kind, state, words) => {
    const small = svg('svg', { width: 44, height: 16, 'aria-hidden': 'true' });
    small.append(drawBar({ kind, bars: [] }, { from: 0, to: 0.5, state, node: state === 'dark' ? -1 : 0, text: '' }, 0, 43, { y: 1, h: 14 }));
    small.querySelectorAll('text').forEach(t => t.remove());
    all.append(element('li', {}, small, ' ' + words));
  };
  data.states.forEach(s => add('node', s.state, s.means));
  add('announce', 'probing', 'probes for an address before its first use');
  add('announce', 'announcing', 'announces it');
  add('announce', 'handing over', 'hands it over: it answers until the others know');
  add('announce', 'held', 'holds it without a lease');
  add('reach', 'dark', 'black hole: nobody answers a client');
  return all;
}
