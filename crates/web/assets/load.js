// Load: brings itself up to date as long as somebody can see it.
import { bring, seenNow } from './refresh.js';

const hour = document.getElementById('hour');
const every = Math.max(Number(hour?.dataset.everyMs) || 0, 1000);
const away = document.getElementById('away');
let timer;

async function again() {
  const page = await seenNow().catch(() => null);
  if (page) bring(page, ['now', 'figures', 'hour', 'minutes', 'refused']);
  if (away) away.hidden = Boolean(page);
  soon();
}

function soon() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(again, every);
}

if (hour) {
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (!document.hidden) again();
  });
  soon();
}
