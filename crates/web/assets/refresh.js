// Parts of this page as they are now, without loading it anew.
import { localise } from './clock.js';

function replace(was, is) {
  // Who reads a table that was opened keeps it open.
  const open = [...was.querySelectorAll('details')].map((details) => details.open);
  was.replaceChildren(...[...is.childNodes].map((node) => document.importNode(node, true)));
  was.querySelectorAll('details').forEach((details, at) => { details.open = open[at] ?? false; });
  localise(was);
}

// What the server shows now; nothing when it does not answer with this page.
export async function seenNow() {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
}

// Puts the parts with these ids in place. Where the keyboard is, nothing is taken away; the next time brings it up to date.
export function bring(page, ids) {
  for (const id of ids) {
    const [is, was] = [page.getElementById(id), document.getElementById(id)];
    if (is && was && !was.contains(document.activeElement)) replace(was, is);
  }
}
