// What Go has computed, and how it is put into words and elements.
const data = JSON.parse(document.getElementById('data').textContent);
const model = data.model;
const events = model.events;
const marks = new Map(data.marks.map(m => [m.kind, m]));
const markOf = kind => marks.get(kind) || data.other;
const states = new Map(data.states.map(s => [s.state, s]));

// leads is the reverse of what records rest on.
const leads = events.map(() => []);
events.forEach((e, i) => (e.on || []).forEach(on => leads[on].push(i)));

const byId = id => document.getElementById(id);

// Elements are made, never parsed: whatever a record says is text.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  return made;
}

const seconds = (ns, digits = 3) => (ns / 1e9).toFixed(digits);

// lasting is a duration in words, three digits and a unit, as in the sentences.
function lasting(ns) {
  for (const [unit, size] of [['s', 1e9], ['ms', 1e6], ['µs', 1e3]]) {
    if (ns < size) continue;
    const n = ns / size;
    return (n >= 100 || Number.isInteger(n) ? Math.round(n) : n >= 10 ? n.toFixed(1) : n.toFixed(2)) + ' ' + unit;
  }
  return Math.max(ns, 0) + ' ns';
}

const line = e => `${seconds(e.at, 6)} s  ${e.actor}  ${e.what}`;

// A fact's name without what all facts have.
const brief = e => e.what.replace(/viplog\.(\w+)\.v\d+ /, '$1 ');

const nodeName = n => model.nodes[n] || 'another';

// firstIndex is of the first element that holds; all after it hold too.
function firstIndex(list, holds) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle; else low = middle + 1;
  }
  return low;
}
