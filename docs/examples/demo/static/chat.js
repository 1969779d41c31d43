// The chat room: one websocket, opened again with growing pauses when it is lost.
const at = (id) => document.getElementById(id);
const room = at("room");
const log = at("log");
const LONGEST_LOG = 300;
let socket = null;
let name = "";
let pause = 500;

at("name").value ||= sessionStorage.getItem("chat-name") ?? "";
at("join").addEventListener("submit", (event) => {
  event.preventDefault();
  name = at("name").value.trim();
  if (!name) return;
  sessionStorage.setItem("chat-name", name);
  at("join").hidden = true;
  room.hidden = false;
  at("text").focus();
  connect();
});
at("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(text);
  at("text").value = "";
});

function connect() {
  const url = new URL(room.dataset.url, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("name", name);
  socket = new WebSocket(url);
  socket.addEventListener("message", (event) => receive(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    at("state").textContent = "Connection lost, trying again…";
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, 10_000);
  });
}

function receive(event) {
  if (event.people) showPeople(event.people);
  if (event.type === "welcome") {
    pause = 500;
    name = event.you;
    at("state").textContent = `You are ${name}.`;
    log.replaceChildren();
    event.history.forEach(showMessage);
    remark("You came in.");
  } else if (event.type === "message") showMessage(event);
  else if (event.type === "join") remark(`${event.name} came in.`);
  else if (event.type === "leave") remark(`${event.name} left.`);
  else if (event.type === "notice") remark(`Not sent: ${event.text}.`);
}

function showPeople(people) {
  at("people").replaceChildren(...people.map((person) => element("li", person, person === name ? "me" : "")));
}

function showMessage({ name: author, text, at: when }) {
  const item = element("li", "", author === name ? "message me" : "message");
  const time = new Date(when).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(element("span", `${author}, ${time}`, "who"), element("span", text, "bubble"));
  append(item);
}

function remark(text) {
  append(element("li", text, "remark"));
}

function append(item) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(item);
  while (log.children.length > LONGEST_LOG) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function element(tag, text, className) {
  return Object.assign(document.createElement(tag), { textContent: text, className });
}
