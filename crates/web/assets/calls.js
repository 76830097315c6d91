// Calls: what is up moves on by itself, and holds grow between.
import './clock.js';
import { bring, seenNow } from './refresh.js';

const live = document.getElementById('live') ?? document.querySelector('#one[data-live]');
// At most so often is the page asked for again, milliseconds.
const EVERY = 1000;

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
    const page = await seenNow();
    const now = page?.getElementById(live.id);
    if (!now) return;
    bring(page, [live.id, 'chart', 'ended']);
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
