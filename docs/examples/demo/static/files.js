// Sends each chosen or dropped file as the body of a PUT, with a progress bar, and deletes files.
const drop = document.getElementById("drop");
const chooser = document.getElementById("chooser");
const list = document.getElementById("uploads");

chooser.addEventListener("change", () => sendAll(chooser.files));
drop.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragenter" || name === "dragover");
  });
}
drop.addEventListener("drop", (event) => sendAll(event.dataTransfer.files));

for (const button of document.querySelectorAll("[data-delete]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await fetch(button.dataset.delete, { method: "DELETE" });
    if (answer.ok || answer.status === 404) button.closest("tr").remove();
    else button.disabled = false;
  });
}

async function sendAll(files) {
  const results = await Promise.all([...files].map(send));
  if (results.length && results.every(Boolean)) location.reload();
}

// fetch() cannot report the progress of an upload; XMLHttpRequest can.
function send(file) {
  const item = list.appendChild(document.createElement("li"));
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  const state = document.createElement("span");
  item.append(file.name, bar, state);
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `${drop.dataset.url}/${encodeURIComponent(file.name)}`);
    request.setRequestHeader("accept", "application/json");
    request.upload.addEventListener("progress", (event) => (bar.value = event.loaded / (event.total || 1)));
    request.addEventListener("loadend", () => {
      const done = request.status === 201;
      state.textContent = done ? "done" : reason(request);
      item.classList.toggle("failed", !done);
      resolve(done);
    });
    request.send(file);
  });
}

function reason(request) {
  if (request.status === 413) return "too large";
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return "failed";
  }
}
