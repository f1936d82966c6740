// All records of what is in view as a table, of which only the visible rows exist.
const tableRow = 24;
let listed = [];

function fillTable() {
  const first = firstIndex(events, e => e.at >= view.from), end = firstIndex(events, e => e.at > view.to);
  const filtered = search.hits && byId('only').checked;
  listed = [];
  for (let i = first; i < end; i++) if (!filtered || search.is[i]) listed.push(i);
  byId('only-label').hidden = !search.hits;
  byId('count').textContent = `${listed.length} of ${events.length}`;
  byId('table').setAttribute('aria-rowcount', String(listed.length + 1));
  drawTable();
}

function drawTable() {
  const table = byId('table'), body = byId('table-body');
  body.style.height = listed.length * tableRow + 'px';
  const first = Math.max(0, Math.floor(table.scrollTop / tableRow) - 5);
  const last = Math.min(listed.length, first + Math.ceil(table.clientHeight / tableRow) + 10);
  const made = [];
  for (let k = first; k < last; k++) made.push(tableLine(k));
  body.replaceChildren(...made);
}

function tableLine(k) {
  const i = listed[k], e = events[i], mark = markOf(e.kind);
  const row = element('div', { role: 'row', 'aria-rowindex': k + 2, id: 'record-' + i, class: 'row mood-' + mark.mood });
  row.style.top = k * tableRow + 'px';
  if (i === looked.record) row.setAttribute('aria-current', 'true');
  if (search.hits && search.is[i]) row.classList.add('hit');
  const cells = [seconds(e.at, 6), mark.mark, e.actor, e.what];
  ['time', 'sign', 'actor', 'what'].forEach((name, c) => row.append(element('span', { role: 'cell', class: name }, cells[c])));
  row.addEventListener('click', () => { look(i, true); scrollToRecord(i); showTip(i); });
  row.addEventListener('pointerenter', () => looked.kept || look(i, false));
  return row;
}

// markTable shows which row is the record that is looked at.
function markTable() {
  const body = byId('table-body');
  body.querySelectorAll('[aria-current]').forEach(r => r.removeAttribute('aria-current'));
  const table = byId('table'), k = listed.indexOf(looked.record);
  table.removeAttribute('aria-activedescendant');
  if (looked.record < 0 || k < 0) return;
  const top = k * tableRow;
  if (looked.kept && (top < table.scrollTop || top + 2 * tableRow > table.scrollTop + table.clientHeight)) {
    table.scrollTop = top - table.clientHeight / 3;
    drawTable();
  }
  const row = byId('record-' + looked.record);
  if (!row) return;
  row.setAttribute('aria-current', 'true');
  table.setAttribute('aria-activedescendant', row.id);
}

// stepTable goes from row to row.
function stepTable(by) {
  if (!listed.length) return;
  const k = listed.indexOf(looked.record);
  const next = listed[Math.min(Math.max(k < 0 ? 0 : k + by, 0), listed.length - 1)];
  look(next, true);
  scrollToRecord(next);
  showTip(next);
}

function watchTable() {
  const head = element('div', { role: 'row', 'aria-rowindex': 1, class: 'row head' });
  [['time', 'seconds'], ['sign', ''], ['actor', 'actor'], ['what', 'what']].forEach(([name, title]) =>
    head.append(element('span', { role: 'columnheader', class: name, 'aria-label': title || 'sign' }, title)));
  byId('table-head').append(head);
  const table = byId('table');
  table.addEventListener('scroll', drawTable);
  table.addEventListener('keydown', event => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    stepTable(by);
  });
  byId('only').addEventListener('change', fillTable);
}
