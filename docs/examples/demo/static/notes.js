// Fills in the summaries that background tasks had not finished when the page was made.
for (const note of document.querySelectorAll("[data-pending]")) watch(note, 0);

async function watch(note, tries) {
  const answer = await fetch(note.dataset.pending);
  if (!answer.ok) return;
  const { summary } = await answer.json();
  if (summary) return show(note.querySelector(".summary"), summary);
  if (tries < 20) setTimeout(watch, 100 * (tries + 1), note, tries + 1);
}

function show(place, { words, reading_seconds: seconds, common_words: common }) {
  const tags = common.map((word) => Object.assign(document.createElement("span"), { className: "tag", textContent: word }));
  place.replaceChildren(`${words} ${words === 1 ? "word" : "words"}, ${seconds} s to read `, ...tags);
}
