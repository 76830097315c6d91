// Clips: a file is dropped or chosen and brought piece by piece (tus 1.0.0); what breaks off is gone on with.
const csrf = document.querySelector('meta[name="csrf"]').content;
const form = document.getElementById('upload');
const [name, file, told, bar] = ['name', 'file', 'told', 'progress'].map((id) => document.getElementById(id));
const TUS = { 'Tus-Resumable': '1.0.0', 'X-CSRF-Token': csrf };
// Longest pause between two tries, and how many that brought nothing are enough.
const PAUSE_MAX = 10_000;
const TRIES = 30;

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text) => { told.textContent = text; };
const done = (percent) => { bar.hidden = false; bar.value = percent; };

// Where this file was being brought to, if it has been before.
const memory = (file, name, user) => `upload ${name} ${user} ${file.size} ${file.lastModified} ${file.name}`;
function remember(key, place) {
  try { if (place) localStorage.setItem(key, place); else localStorage.removeItem(key); } catch { /* then it begins anew */ }
}
function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

async function problem(answer) {
  try {
    const { detail, fix } = await answer.json();
    return fix ? `${detail}; ${fix}` : detail;
  } catch {
    return `the server answered ${answer.status}`;
  }
}

async function begin(file, name, user) {
  const metadata = [`name ${base64(name)}`, ...(user ? [`user ${base64(user)}`] : [])].join(',');
  const answer = await fetch('/api/v1/uploads', {
    method: 'POST',
    headers: { ...TUS, 'Upload-Length': String(file.size), 'Upload-Metadata': metadata },
  });
  if (!answer.ok) throw new Error(await problem(answer));
  return answer.headers.get('Location');
}

// How many bytes are there; null: the upload is not known (any more).
async function offset(place) {
  const answer = await fetch(place, { method: 'HEAD', headers: TUS, cache: 'no-store' });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new TypeError(`the server answered ${answer.status}`);
  return Number(answer.headers.get('Upload-Offset'));
}

// Brings the rest from a byte on, and says which is next; what a request by fetch has sent is not told, so XMLHttpRequest it is.
function bring(place, file, from) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PATCH', place);
    for (const [field, value] of Object.entries(TUS)) request.setRequestHeader(field, value);
    request.setRequestHeader('Upload-Offset', String(from));
    request.setRequestHeader('Content-Type', 'application/offset+octet-stream');
    request.upload.onprogress = ({ loaded }) => done(((from + loaded) / file.size) * 100);
    request.onload = () => {
      if (request.status < 400) { resolve(Number(request.getResponseHeader('Upload-Offset'))); return; }
      let why = `the server answered ${request.status}`;
      try { why = JSON.parse(request.responseText).detail; } catch { /* as it is */ }
      const error = new Error(why);
      // These pass: another request still has it, another byte is next, the server is busy.
      error.passes = [408, 409, 423, 503].includes(request.status);
      reject(error);
    };
    request.onerror = () => reject(Object.assign(new Error('the network broke'), { passes: true }));
    request.onabort = request.onerror;
    request.send(file.slice(from));
  });
}

async function upload(file, name, user) {
  const key = memory(file, name, user);
  let place = remembered(key);
  let from = place ? await offset(place).catch(() => null) : null;
  if (from === null) {
    place = await begin(file, name, user);
    remember(key, place);
    from = 0;
  }
  let tries = 0;
  while (from < file.size) {
    say('Uploading…');
    const before = from;
    try {
      from = await bring(place, file, from);
      tries = 0;
    } catch (error) {
      if (!error.passes) { remember(key); throw error; }
      say('The connection broke; it will be gone on with…');
      await pause(Math.min(PAUSE_MAX, 500 * 2 ** tries));
      const now = await offset(place).catch(() => before);
      if (now === null) { remember(key); throw new Error('the upload was given up'); }
      from = now;
      tries = from > before ? 0 : tries + 1;
      if (tries > TRIES) throw error;
    }
  }
  remember(key);
  return place;
}

// Follows what becomes of an upload, until it is a clip or none.
function follow(place, shown) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`${place}/events`);
    events.addEventListener('upload', ({ data }) => {
      const now = JSON.parse(data);
      shown(now);
      if (now.state !== 'ready' && now.state !== 'refused') return;
      events.close();
      if (now.state === 'ready') resolve(now);
      else reject(new Error(now.fix ? `${now.why}; ${now.fix}` : now.why));
    });
    events.onerror = () => {
      // A break is mended by the browser; what is answered by an error is over.
      if (events.readyState === EventSource.CLOSED) reject(new Error('it is not known any more what became of it'));
    };
    addEventListener('pagehide', () => events.close());
  });
}

// The lists as they are now; a clip that is being played stays.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const id of ['clips', 'uploads']) {
    const list = document.getElementById(id);
    const rows = [...page.getElementById(id).children].map((row) => {
      const was = row.id ? document.getElementById(row.id) : null;
      const player = was?.querySelector('video, audio');
      return player && !player.paused && was.dataset.id === row.dataset.id ? was : document.importNode(row, true);
    });
    list.replaceChildren(...rows);
  }
  document.querySelector('.none')?.toggleAttribute('hidden', document.getElementById('clips').children.length > 0);
}

function fitting(name) {
  const stem = name.replace(/\.[^.]*$/, '').replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return stem.slice(0, 64);
}

let busy = false;
async function take(file) {
  if (busy) { say('One after the other: wait until this one is ready.'); return; }
  if (!name.value) name.value = fitting(file.name);
  if (!name.reportValidity()) return;
  const max = Number(form.dataset.max);
  if (file.size > max) {
    say(`${file.name} has ${Math.ceil(file.size / 1e6)} MB, and ${Math.floor(max / 1e6)} MB are the most.`);
    return;
  }
  busy = true;
  told.classList.remove('wrong');
  const called = name.value;
  try {
    done(0);
    const place = await upload(file, called, form.elements.user?.value.trim() ?? '');
    say('Preparing…');
    await follow(place, (now) => { if (now.state === 'preparing') done(now.percent ?? 0); });
    done(100);
    say(`${called} is ready.`);
    form.reset();
  } catch (error) {
    told.classList.add('wrong');
    say(`${called}: ${error.message}`);
  } finally {
    busy = false;
    bar.hidden = true;
    await refresh().catch(() => {});
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const [chosen] = file.files;
  if (chosen) take(chosen);
});
file.addEventListener('change', () => {
  const [chosen] = file.files;
  if (chosen && !name.value) name.value = fitting(chosen.name);
});
for (const what of ['dragenter', 'dragover']) {
  form.addEventListener(what, (event) => { event.preventDefault(); form.classList.add('over'); });
}
form.addEventListener('dragleave', () => form.classList.remove('over'));
form.addEventListener('drop', (event) => {
  event.preventDefault();
  form.classList.remove('over');
  const [dropped] = event.dataTransfer.files;
  if (dropped) take(dropped);
});

// What was under way when the page was opened.
for (const row of document.querySelectorAll('#uploads [data-state="queued"], #uploads [data-state="preparing"]')) {
  follow(`/api/v1/uploads/${row.dataset.upload}`, () => {}).catch(() => {}).finally(() => refresh().catch(() => {}));
}
