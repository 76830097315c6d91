// Calls: what is up moves on by itself, and holds grow between.
import { localise } from './clock.js';

const live = document.getElementById('live') ?? document.querySelector('#one[data-live]');
// At most so often is the page asked for again, milliseconds.
const EVERY = 1000;

function replace(was, is) {
  // Who reads a table that was opened keeps it open.
  const open = [...was.querySelectorAll('details')].map((details) => details.open);
  was.replaceChildren(...[...is.childNodes].map((node) => document.importNode(node, true)));
  was.querySelectorAll('details').forEach((details, at) => { details.open = open[at] ?? false; });
  localise(was);
}

if (live) {
  // Holds are counted by the server's clock.
  let ahead = Date.now() - Number(live.dataset.now);
  setInterval(() => {
    for (const bar of live.querySelectorAll('progress[data-from]')) {
      const kept = Math.min(Math.max(Date.now() - ahead - Number(bar.dataset.from), 0), bar.max);
      bar.value = kept;
      const text = bar.parentElement.querySelector('.hold-text');
      if (text) text.textContent = `${(kept / 1000).toFixed(1)} s of ${(bar.max / 1000).toFixed(1)} s`;
    }
  }, 200);

  let due = false;
  async function refresh() {
    due = false;
    const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const now = page.getElementById(live.id);
    if (!now) return;
    for (const id of [live.id, 'chart', 'ended']) {
      const [is, was] = [page.getElementById(id), document.getElementById(id)];
      // Where the keyboard is, nothing is taken away; the next change brings it up to date.
      if (is && was && !was.contains(document.activeElement)) replace(was, is);
    }
    ahead = Date.now() - Number(now.dataset.now);
    if (live.id === 'one' && !now.hasAttribute('data-live')) {
      live.removeAttribute('data-live');
      document.getElementById('end')?.remove();
      events.close();
    }
  }
  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(() => refresh().catch(() => {}), EVERY);
  };
  const events = new EventSource('/api/v1/events');
  for (const what of ['call.started', 'call.phase', 'call.switch', 'call.prolonged', 'call.back', 'call.ended', 'events.lost']) {
    events.addEventListener(what, soon);
  }
  addEventListener('pagehide', () => events.close());
}
