// What is drawn below what: each row knows its place.
const heights = { title: 22, fault: 24, node: 42, lane: 24, address: 24, announce: 18, reach: 18 };
const rows = [];
const laneRows = [];   // by lane
const bandRows = [];   // by band: its first row
const faultRowOf = new Map(); // by record
let rowsHeight = 0;

function addRow(kind, more) {
  const row = { kind, y: rowsHeight, h: heights[kind], ...more };
  rows.push(row);
  rowsHeight += row.h;
  return row;
}

function layOut() {
  if (model.faults.length) addRow('title', { label: 'Faults' });
  if (model.faults.length > 8) heights.fault = 17; // or there is room for nothing else
  model.faults.forEach((fault, i) => {
    const again = i > 0 && model.faults[i - 1].actor === fault.actor;
    const row = addRow('fault', { label: again ? '' : fault.actor, bars: fault.bars, actor: fault.actor });
    fault.bars.forEach(b => faultRowOf.set(b.record, row));
  });
  let group = '';
  model.lanes.forEach((lane, i) => {
    const title = lane.group === 'Nodes' ? 'Nodes' : 'Log, voters, auditor, clients';
    if (title !== group) addRow('title', { label: group = title });
    laneRows[i] = addRow(lane.group === 'Nodes' ? 'node' : 'lane', { label: lane.name, lane, records: lane.records });
  });
  if (model.bands.length) addRow('title', { label: 'Addresses: who announces them, and whom clients reach' });
  // What is among the findings comes first.
  const order = model.bands.map((_, i) => i);
  order.sort((a, b) => (model.bands[b].notable - model.bands[a].notable) || a - b);
  order.forEach(addBand);
  rowsHeight += 8;
}

function addBand(i) {
  const band = model.bands[i];
  const first = addRow('address', { label: band.address, band: i });
  band.rows.forEach(r => addRow('announce', { label: nodeName(r.node) + ' announces', bars: r.bars, node: r.node, band: i }));
  band.reach.forEach(r => addRow('reach', { label: r.client + ' reaches', bars: r.bars, client: r.client, band: i }));
  first.whole = rowsHeight - first.y;
  rowsHeight += 6;
  bandRows[i] = first;
}

// placeOf is where a record's mark is, from the top.
function placeOf(i) {
  const e = events[i];
  if (e.lane >= 0) {
    const row = laneRows[e.lane];
    return row.y + (row.kind === 'node' ? 12 : row.h / 2);
  }
  const row = faultRowOf.get(i) || rows.find(r => r.kind === 'fault' && r.actor === e.actor) || faultRowOfTime(e);
  return row ? row.y + row.h / 2 : 8;
}

// A fault that was put into one bar with others has no row of its own.
function faultRowOfTime(e) {
  return rows.find(r => r.kind === 'fault');
}

function scrollTo(y, height) {
  const plot = byId('plot');
  if (y < plot.scrollTop || y + height > plot.scrollTop + plot.clientHeight) {
    plot.scrollTop = Math.max(0, y - Math.max(plot.clientHeight - height, 0) / 3);
  }
}

const scrollToRecord = i => scrollTo(placeOf(i) - 12, 24);
