// Starts the slow work and, until it ends, keeps asking for something quick: one bar for each answer.
const start = document.getElementById("start");
const result = document.getElementById("result");
const chart = document.getElementById("chart");
const pings = document.getElementById("pings");
const MOST_BARS = 100;

start.addEventListener("click", async () => {
  start.disabled = true;
  result.textContent = "Working…";
  chart.replaceChildren();
  let working = true;
  const work = fetch(start.dataset.work).then((answer) => answer.json());
  work.finally(() => (working = false)).catch(() => {});
  const times = [];
  while (working) {
    const asked = performance.now();
    await fetch(start.dataset.ping, { cache: "no-store" });
    times.push(performance.now() - asked);
    draw(times.at(-1), times.length - 1);
    await new Promise((resume) => setTimeout(resume, 25));
  }
  const { seconds, thread } = await work;
  result.textContent = `Done after ${seconds} s in ${thread}.`;
  start.disabled = false;
});

function draw(time, index) {
  const height = Math.min(110, 4 + time * 4);
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const place = { x: (index % MOST_BARS) * 6, y: 120 - height, width: 4, height, rx: 1.5 };
  for (const [key, value] of Object.entries(place)) bar.setAttribute(key, value);
  if (index >= MOST_BARS) chart.firstElementChild.remove();
  chart.append(bar);
  pings.textContent = `Quick answers: ${index + 1}, the last in ${time.toFixed(1)} ms.`;
}
