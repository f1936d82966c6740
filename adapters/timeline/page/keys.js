// Keys and buttons: each does one of these.
const actions = {
  in: () => zoom(1 / 1.6), out: () => zoom(1.6), left: () => pan(-0.2), right: () => pan(0.2), whole: showWhole, focus: showFocus,
  next: () => step(1), previous: () => step(-1), hit: () => stepHit(1), 'hit before': () => stepHit(-1),
  up: () => { byId('plot').scrollTop -= 60; }, down: () => { byId('plot').scrollTop += 60; },
  here: () => looked.record >= 0 && fit(events[looked.record].at, events[looked.record].at),
  search: () => { byId('search').focus(); byId('search').select(); },
  theme: toggleTheme, copy: copyCommand, help: openHelp, close: closeAll,
};

const keys = [
  ['+ =', 'in', 'zoom in'], ['-', 'out', 'zoom out'], ['ArrowLeft', 'left', 'earlier'], ['ArrowRight', 'right', 'later'],
  ['ArrowUp', 'up', 'scroll up'], ['ArrowDown', 'down', 'scroll down'], ['0', 'whole', 'the whole trace'],
  ['f', 'focus', 'what follows the set-up'], ['j', 'next', 'next record'], ['k', 'previous', 'record before'],
  ['Enter', 'here', 'zoom to the record that is looked at (on the drawing)'], ['/', 'search', 'search'], ['n', 'hit', 'next hit'],
  ['N', 'hit before', 'hit before'], ['t', 'theme', 'light or dark'], ['c', 'copy', 'copy the command'], ['?', 'help', 'these keys'],
  ['Escape', 'close', 'close what is open'],
];

function watchKeys() {
  const list = byId('keys');
  for (const [names, , does] of keys) {
    list.append(element('dt', {}, ...names.split(' ').map(n => element('kbd', {}, n.replace('Arrow', '')))), element('dd', {}, does));
  }
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const writes = event.target.matches('input[type=search]'), own = event.target.matches('button, summary, input, #table, pre');
    if (event.key !== 'Escape' && (writes || byId('help').open)) return;
    if (own && /^(Enter|Arrow)/.test(event.key) && !event.target.matches('.finding')) return;
    if (event.target.matches('button') && event.key === 'Enter') return;
    const key = keys.find(k => k[0].split(' ').includes(event.key));
    if (!key) return;
    event.preventDefault();
    actions[key[1]]();
  });
  document.querySelectorAll('[data-do]').forEach(b => b.addEventListener('click', () => actions[b.dataset.do]()));
  byId('theme').addEventListener('click', toggleTheme);
  byId('copy').addEventListener('click', copyCommand);
  byId('help-open').addEventListener('click', openHelp);
  byId('help-close').addEventListener('click', () => byId('help').close());
}

const isDarkNow = () => (document.documentElement.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';

function toggleTheme() {
  document.documentElement.dataset.theme = isDarkNow() ? 'light' : 'dark';
  nameTheme();
}

function watchTheme() {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', nameTheme);
  nameTheme();
}

const nameTheme = () => { byId('theme').textContent = isDarkNow() ? 'Light' : 'Dark'; };

// A page from a file may have no clipboard; a selection can be copied always.
async function copyCommand() {
  if (!data.command) return;
  let copied = true;
  try {
    await navigator.clipboard.writeText(data.command);
  } catch {
    const field = element('textarea', { class: 'unseen', 'aria-hidden': 'true' });
    field.value = data.command;
    document.body.append(field);
    field.select();
    copied = document.execCommand('copy');
    field.remove();
  }
  const said = copied ? 'Copied' : 'Select it by hand';
  byId('copy').textContent = said;
  byId('status').textContent = said;
  setTimeout(() => { byId('copy').textContent = 'Copy'; }, 2000);
}

function openHelp() {
  hideTip();
  byId('help').showModal();
}

function closeAll() {
  if (byId('help').open) return byId('help').close();
  hideTip();
  if (document.activeElement === byId('search')) {
    byId('search').value = '';
    find('');
    byId('plot').focus();
  }
}
