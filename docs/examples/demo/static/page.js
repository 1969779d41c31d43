// On every page: how long the server took, as the Server-Timing header of the page itself says.
const [page] = performance.getEntriesByType("navigation");
const app = page?.serverTiming?.find((entry) => entry.name === "app");
if (app) document.getElementById("timing").textContent = ` in ${app.duration.toFixed(1)} ms`;
