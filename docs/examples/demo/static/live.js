// Shows the server's events; the browser connects again by itself and names the last event it has seen.
const wave = document.getElementById("wave");
const log = document.getElementById("log");
const state = document.getElementById("state");
const LONGEST_LOG = 200;
const TEXTS = {
  join: () => "A page was opened.",
  leave: () => "A page was closed.",
  wave: (event) => `${event.name} waved.`,
  note: (event) => `${event.name} wrote note ${event.note}.`,
  file: (event) => `${event.name} was uploaded.`,
  chat: (event) => `${event.name} came into the chat.`,
};

let source;

// Browsers keep a page that is left, its connections too, for the way back: nobody looks at it meanwhile.
addEventListener("pageshow", listen);
addEventListener("pagehide", () => source.close());
wave.addEventListener("click", () => fetch(wave.dataset.wave, { method: "POST" }));

function listen() {
  source = new EventSource(wave.dataset.events);
  source.addEventListener("error", () => (state.textContent = "Connection lost, trying again…"));
  for (const kind of Object.keys(TEXTS)) source.addEventListener(kind, ({ data }) => show(kind, JSON.parse(data)));
}

function show(kind, event) {
  const pages = event.listeners === 1 ? "1 page is" : `${event.listeners} pages are`;
  state.textContent = `${pages} listening.`;
  const time = document.createElement("time");
  time.textContent = new Date(event.at).toLocaleTimeString();
  const item = document.createElement("li");
  item.append(time, TEXTS[kind](event));
  log.prepend(item);
  while (log.children.length > LONGEST_LOG) log.lastElementChild.remove();
}
