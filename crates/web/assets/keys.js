// The list by keyboard. Keys count while the focus is in the list (WCAG 2.1.4) and never where a control has a use of its own for them.

// What buttons, links and boxes do with a key; players have the arrows and the space bar, and more.
const THEIRS = new Set([' ', 'Enter']);
const OF_PLAYERS = new Set([' ', 'Enter', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End']);

const player = (row) => row.querySelector('video, audio');

function isTheirs(at, key) {
  if (at.matches('textarea, select, input:not([type=checkbox]), [contenteditable]')) return true;
  if (at.matches('video, audio')) return OF_PLAYERS.has(key);
  return at.matches('button, a, input, summary') && THEIRS.has(key);
}

// Goes to a row: of all of them Tab finds this one.
export function goTo(row) {
  if (!row) return;
  for (const other of row.parentElement.children) other.tabIndex = other === row ? 0 : -1;
  row.focus();
}

// Where the focus goes when this row is gone.
export function beside(row) {
  return row.nextElementSibling ?? row.previousElementSibling ?? document.getElementById('top');
}

// `deeds`: heard(row), remove(row), undo(), as the server does them.
export function byKeys(list, deeds) {
  const help = document.getElementById('keys');
  help.hidden = false;

  const playOrPause = (row) => {
    const it = player(row);
    if (it) { if (it.paused) it.play().catch(() => {}); else it.pause(); }
  };
  const seek = (s) => (row) => {
    const it = player(row);
    if (!it) return;
    const end = Number.isFinite(it.duration) ? it.duration : Number(row.dataset.duration) / 1000;
    it.currentTime = Math.min(Math.max(0, it.currentTime + s), end);
  };
  const next = (row) => goTo(row.nextElementSibling);
  const former = (row) => goTo(row.previousElementSibling);
  const keys = {
    ' ': playOrPause, k: playOrPause,
    ArrowLeft: seek(-5), ArrowRight: seek(5), j: seek(-10), l: seek(10),
    ArrowDown: next, n: next, ArrowUp: former, p: former,
    x: (row) => row.querySelector('input[type=checkbox]').click(),
    h: deeds.heard, Delete: deeds.remove, u: () => deeds.undo(),
    '?': () => { help.open = true; help.querySelector('summary').focus(); },
  };

  list.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = event.target.closest('#messages > li');
    const deed = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
    if (!row || !deed || isTheirs(event.target, event.key)) return;
    event.preventDefault();
    // A key that is held moves on, and does nothing else again and again.
    if (!event.repeat || deed === next || deed === former || event.key.startsWith('Arrow')) deed(row);
  });
  // Tab comes back to where one was.
  list.addEventListener('focusin', (event) => {
    const row = event.target.closest('#messages > li');
    if (row) for (const other of list.children) other.tabIndex = other === row ? 0 : -1;
  });
  if (list.firstElementChild) list.firstElementChild.tabIndex = 0;
}
