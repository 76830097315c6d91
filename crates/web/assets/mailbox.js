// The mailbox: what of a message was played, times by this clock, what is done by keys and with several, and what happens meanwhile.
import { localise } from './clock.js';
import { beside, byKeys, goTo } from './keys.js';

const csrf = document.querySelector('meta[name="csrf"]').content;
const list = document.getElementById('messages');
// How often it is said what of a message was played, milliseconds.
const SAY_EVERY = 5000;
// Parts that are said at once.
const PARTS_MAX = 200;

// What was played, not what was passed over: the server adds it to what was played before and says whether that is enough.
function stretches(player) {
  const parts = [];
  for (let n = 0; n < player.played.length; n += 1) {
    const [from_ms, to_ms] = [player.played.start(n), player.played.end(n)].map((s) => Math.max(0, Math.round(s * 1000)));
    if (to_ms > from_ms) parts.push({ from_ms, to_ms });
  }
  return parts.sort((a, b) => (b.to_ms - b.from_ms) - (a.to_ms - a.from_ms)).slice(0, PARTS_MAX);
}

function ask(method, id, change, after = '') {
  return fetch(`/api/v1/messages/${encodeURIComponent(id)}${after}`, {
    method,
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf },
    body: change && JSON.stringify(change),
    keepalive: true,
  });
}

async function say(row, ms, played) {
  const answer = await ask('PATCH', row.dataset.id, { played_ms: Math.round(ms), played });
  if (!answer.ok) return;
  const message = await answer.json();
  row.dataset.played = message.played_ms ?? 0;
  if (message.state === 'heard' && row.dataset.heard === 'false') {
    row.dataset.heard = 'true';
    refresh();
  }
}

function follow(row) {
  const player = row.querySelector('video, audio');
  if (!player) return;
  const duration = Number(row.dataset.duration);
  let said = 0;
  const tell = () => {
    said = Date.now();
    say(row, player.currentTime * 1000, stretches(player)).catch(() => {});
  };
  player.addEventListener('loadedmetadata', () => {
    const played = Number(row.dataset.played);
    // Who had seen nearly all of it begins anew.
    if (played > 0 && played < duration * 0.95) player.currentTime = played / 1000;
  });
  player.addEventListener('timeupdate', () => {
    const total = stretches(player).reduce((sum, part) => sum + part.to_ms - part.from_ms, 0);
    const isHeardNow = row.dataset.heard === 'false' && total >= duration * 0.8;
    if (!player.paused && (Date.now() - said > SAY_EVERY || (isHeardNow && Date.now() - said > 500))) tell();
  });
  // One is heard at a time.
  player.addEventListener('play', () => {
    for (const other of list.querySelectorAll('video, audio')) if (other !== player) other.pause();
  });
  player.addEventListener('pause', tell);
  player.addEventListener('ended', tell);
  addEventListener('pagehide', () => { if (!player.paused) tell(); });
}

function isBusy(row) {
  const player = row.querySelector('video, audio');
  return player && (!player.paused || player.currentTime > 0);
}

// Each day stands above its first message, by this clock.
const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' });
function byDays() {
  const now = new Date();
  const before = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  const names = new Map([[now.toDateString(), 'Today'], [before.toDateString(), 'Yesterday']]);
  let last = null;
  for (const row of list.children) {
    const at = new Date(row.querySelector('time').dateTime);
    const day = at.toDateString();
    let head = row.querySelector('.day');
    if (day === last) head?.remove();
    else {
      if (!head) {
        head = document.createElement('h2');
        head.className = 'day';
        row.prepend(head);
      }
      const words = names.get(day) ?? days.format(at);
      if (head.textContent !== words) head.textContent = words;
    }
    last = day;
  }
}

// How many are chosen, and how long they are.
const chosen = document.getElementById('chosen');
const chooseAll = document.getElementById('choose-all');
const boxes = () => [...list.querySelectorAll('input[type=checkbox]')];
function countChosen() {
  const rows = [...list.children].filter((row) => row.querySelector('input[type=checkbox]').checked);
  const s = Math.round(rows.reduce((sum, row) => sum + Number(row.dataset.duration), 0) / 1000);
  document.getElementById('chosen-count').textContent = rows.length === 0
    ? 'Chosen: none' : `Chosen: ${rows.length}, ${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')} long`;
  for (const button of chosen.querySelectorAll('button[type=submit]')) button.disabled = rows.length === 0;
  chooseAll.textContent = rows.length > 0 && rows.length === list.children.length ? 'Choose none' : 'Choose all';
}
chooseAll.hidden = false;
chooseAll.addEventListener('click', () => {
  const all = boxes();
  const shall = !all.every((box) => box.checked);
  for (const box of all) box.checked = shall;
  countChosen();
});
list.addEventListener('change', countChosen);

// The list as it is now; what is being played or typed in stays, but for its words.
// One at a time; what is asked for meanwhile is one more, a moment later.
const MOMENT = 300;
let running = Promise.resolve();
let waiting = null;
// `done`: what was done just now, as the address of the page would say it.
function refresh(done) {
  if (waiting) waiting.done = done ?? waiting.done;
  else {
    const mine = { done };
    waiting = mine;
    running = running.then(() => { waiting = null; return bring(mine.done); }).catch(() => {});
    mine.over = running;
    running = running.then(() => new Promise((then) => setTimeout(then, MOMENT)));
  }
  return waiting.over;
}

async function bring(done) {
  const here = new URL(location.href);
  for (const name of ['deleted', 'none']) here.searchParams.delete(name);
  if (done) here.searchParams.set('deleted', done);
  const answer = await fetch(here, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const [now, was] = [page.getElementById('counts'), document.getElementById('counts')];
  if (now && was) was.textContent = now.textContent;
  if (done) {
    const notice = document.importNode(page.getElementById('done'), true);
    for (const one of notice.querySelectorAll('[autofocus]')) one.removeAttribute('autofocus');
    document.getElementById('done').replaceChildren(...notice.childNodes);
  }
  const fresh = [...page.querySelectorAll('#messages > li')].map((row) => {
    const was = document.getElementById(row.id);
    if (!was) { const made = document.importNode(row, true); follow(made); return made; }
    was.classList.toggle('new', row.classList.contains('new'));
    was.dataset.heard = row.dataset.heard;
    for (const part of ['.facts', '.acts']) {
      const old = was.querySelector(part);
      // What somebody is about to press stays what it is, until they leave it.
      if (old.contains(document.activeElement)) was.dataset.stale = 'true';
      else old.replaceWith(document.importNode(row.querySelector(part), true));
    }
    return was;
  });
  const kept = new Set(fresh);
  const shown = [...list.children];
  for (const row of shown) {
    if (kept.has(row) || isBusy(row)) continue;
    const to = row.contains(document.activeElement) ? beside(row) : null;
    row.remove();
    if (to) to.closest('#messages') ? goTo(to) : to.focus();
  }
  // Only those that are not in their place are moved: moving stops a player, and takes the focus.
  fresh.forEach((row, at) => {
    const isHeld = isBusy(row) || row.contains(document.activeElement);
    if (list.children[at] !== row && !isHeld) list.insertBefore(row, list.children[at] ?? null);
  });
  if (!list.querySelector(':scope > [tabindex="0"]') && list.firstElementChild) list.firstElementChild.tabIndex = 0;
  localise(list);
  byDays();
  countChosen();
  chosen.hidden = list.children.length === 0;
  document.querySelector('.none').toggleAttribute('hidden', list.children.length > 0);
}

list.addEventListener('focusout', (event) => {
  const row = event.target.closest('#messages > li');
  if (row?.dataset.stale) { delete row.dataset.stale; refresh(); }
});

// By keys. What was done last can be undone.
const isTrash = list.dataset.trash === 'true';
let undo = null;
byKeys(list, {
  async heard(row) {
    const { id, heard } = row.dataset;
    if (isTrash || heard === 'true') return;
    const answer = await ask('PATCH', id, { heard: true });
    if (answer.ok) undo = () => ask('PATCH', id, { heard: false });
    refresh();
  },
  async remove(row) {
    if (isTrash || row.dataset.going) return;
    const { id } = row.dataset;
    row.dataset.going = 'true';
    row.querySelector('video, audio')?.pause();
    const answer = await ask('DELETE', id);
    if (!answer.ok) { delete row.dataset.going; refresh(); return; }
    undo = async () => { await ask('POST', id, null, '/undelete'); return id; };
    const to = row.contains(document.activeElement) ? beside(row) : null;
    row.remove();
    if (to) to.closest('#messages') ? goTo(to) : to.focus();
    refresh(id);
  },
  async undo() {
    const deed = undo;
    undo = null;
    if (!deed) return;
    const id = await deed();
    document.getElementById('done').replaceChildren();
    await refresh();
    if (typeof id === 'string') goTo(document.getElementById(`m-${id}`));
  },
});

for (const row of list.children) follow(row);
byDays();
countChosen();
const events = new EventSource('/api/v1/events');
for (const what of ['message.committed', 'message.heard', 'message.unheard', 'message.deleted', 'message.restored', 'events.lost']) {
  events.addEventListener(what, () => refresh());
}
addEventListener('pagehide', () => events.close());
