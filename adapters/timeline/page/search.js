// Search: hits are lit in the drawing, filter the table, and are stepped through.
const search = { words: '', hits: null, is: [], at: -1 };
let haystack = null; // made when first needed

function find(words) {
  search.words = words.trim().toLowerCase();
  search.at = -1;
  search.hits = null;
  if (search.words) {
    haystack = haystack || events.map(e => `${seconds(e.at)} ${e.actor} ${e.what}`.toLowerCase());
    const all = search.words.split(/\s+/);
    search.is = haystack.map(text => all.every(w => text.includes(w)));
    search.hits = events.map((_, i) => i).filter(i => search.is[i]);
  }
  sayHits();
  redraw();
}

function sayHits() {
  const { hits, at } = search;
  byId('hits').textContent = !hits ? '' : !hits.length ? 'no hit' : at < 0 ? hits.length + (hits.length === 1 ? ' hit' : ' hits') : `${at + 1} of ${hits.length}`;
}

// stepHit goes to a hit, from the record that is looked at.
function stepHit(by) {
  const { hits } = search;
  if (!hits || !hits.length) return;
  if (search.at < 0) {
    const next = firstIndex(hits, h => events[h].at >= view.from);
    search.at = by > 0 ? next % hits.length : (next - 1 + hits.length) % hits.length;
  } else {
    search.at = (search.at + by + hits.length) % hits.length;
  }
  sayHits();
  const i = hits[search.at];
  bring(i);
  look(i, true);
  requestAnimationFrame(() => requestAnimationFrame(() => looked.record === i && looked.kept && showTip(i)));
}

function watchSearch() {
  byId('search').addEventListener('input', event => find(event.target.value));
  byId('search-form').addEventListener('submit', event => { event.preventDefault(); stepHit(1); });
  byId('search').addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.shiftKey) { event.preventDefault(); stepHit(-1); }
  });
  byId('hit-previous').addEventListener('click', () => stepHit(-1));
}
