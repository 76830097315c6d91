// The mailbox: what of a message was played, times by this clock, and what happens meanwhile.
import { localise } from './clock.js';

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

async function say(row, ms, played) {
  const answer = await fetch(`/api/v1/messages/${encodeURIComponent(row.dataset.id)}`, {
    method: 'PATCH',
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': csrf },
    body: JSON.stringify({ played_ms: Math.round(ms), played }),
    keepalive: true,
  });
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
  player.addEventListener('pause', tell);
  player.addEventListener('ended', tell);
  addEventListener('pagehide', () => { if (!player.paused) tell(); });
}

function isBusy(row) {
  const player = row.querySelector('video, audio');
  return (player && (!player.paused || player.currentTime > 0)) || row.contains(document.activeElement);
}

// The list as it is now; what is being played or typed in stays, but for its words.
let refreshing = false;
let again = false;
async function refresh() {
  if (refreshing) { again = true; return; }
  refreshing = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const id of ['counts']) {
      const [now, was] = [page.getElementById(id), document.getElementById(id)];
      if (now && was) was.textContent = now.textContent;
    }
    const fresh = [...page.querySelectorAll('#messages > li')].map((row) => {
      const was = document.getElementById(row.id);
      if (!was) { const made = document.importNode(row, true); localise(made); follow(made); return made; }
      was.classList.toggle('new', row.classList.contains('new'));
      was.dataset.heard = row.dataset.heard;
      if (!isBusy(was) || !was.contains(document.activeElement)) {
        const [facts, acts] = [row.querySelector('.facts'), row.querySelector('.acts')];
        was.querySelector('.facts')?.replaceWith(document.importNode(facts, true));
        was.querySelector('.acts')?.replaceWith(document.importNode(acts, true));
        localise(was);
      }
      return was;
    });
    const kept = new Set(fresh);
    for (const row of [...list.children]) if (!kept.has(row) && !isBusy(row)) row.remove();
    // Only those that are not in their place are moved: moving stops a player.
    fresh.forEach((row, at) => { if (list.children[at] !== row && !isBusy(row)) list.insertBefore(row, list.children[at] ?? null); });
    document.querySelector('.none')?.toggleAttribute('hidden', list.children.length > 0);
  } finally {
    refreshing = false;
    if (again) { again = false; setTimeout(refresh, 300); }
  }
}

for (const row of list.children) follow(row);
const events = new EventSource('/api/v1/events');
for (const what of ['message.committed', 'message.heard', 'message.unheard', 'message.deleted', 'message.restored', 'events.lost']) {
  events.addEventListener(what, () => refresh());
}
addEventListener('pagehide', () => events.close());
