// Sends each chosen or dropped file in a form of its own, with a progress bar. Without scripts the form works as it is.
const form = document.getElementById("drop");
const chooser = document.getElementById("chooser");
const list = document.getElementById("uploads");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sendAll(chooser.files);
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.toggle("over", name === "dragenter" || name === "dragover");
  });
}
form.addEventListener("drop", (event) => sendAll(event.dataTransfer.files));

async function sendAll(files) {
  const results = await Promise.all([...files].map(send));
  if (results.length && results.every(Boolean)) location.assign(form.action);
}

// fetch() cannot report the progress of an upload; XMLHttpRequest can.
function send(file) {
  const item = list.appendChild(document.createElement("li"));
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  const state = document.createElement("span");
  item.append(file.name, bar, state);
  const body = new FormData();
  body.append(chooser.name, file);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.addEventListener("progress", (event) => (bar.value = event.loaded / (event.total || 1)));
    request.addEventListener("loadend", () => {
      const done = request.status === 200; // of the page that the answer leads to
      state.textContent = done ? "done" : request.status === 413 ? "too large" : "failed";
      item.classList.toggle("failed", !done);
      resolve(done);
    });
    request.send(body);
  });
}
