// Moments by the browser's clock, in place of UTC.
const second = { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' };
const clock = new Intl.DateTimeFormat(undefined, second);
// The year where it is another than this one.
const farClock = new Intl.DateTimeFormat(undefined, { ...second, year: 'numeric' });
const thisYear = new Date().getFullYear();

export function localise(within) {
  for (const time of within.querySelectorAll('time')) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = (at.getFullYear() === thisYear ? clock : farClock).format(at);
  }
}

localise(document);
