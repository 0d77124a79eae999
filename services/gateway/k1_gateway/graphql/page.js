"use strict";
const start = `{
  tracks(limit: 5) {
    total
    items {
      id title artist bpm f_measure status
      current { version artefacts { name size_bytes } job { status elapsed_ms } }
      history(limit: 3) { items { at action actor { name } } }
      deployments { id status }
    }
  }
}`;
const place = (id) => document.getElementById(id);
const [query, variables, run, result, time, schema, find] = ["query", "variables", "run", "result", "time", "schema", "find"].map(place);
let sdl = "";

async function send(body) {
  const response = await fetch("/api/v1/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-K1-Request": "1" },
    body: JSON.stringify(body),
  });
  return response.json();
}

async function execute() {
  run.disabled = true;
  const began = performance.now();
  try {
    const given = variables.value.trim() ? JSON.parse(variables.value) : {};
    result.textContent = JSON.stringify(await send({ query: query.value, variables: given }), null, 2);
  } catch (error) {
    result.textContent = `It was not sent: ${error.message}`;
  }
  time.textContent = `after ${Math.round(performance.now() - began)} ms`;
  run.disabled = false;
}

function showSchema() {
  const wanted = find.value.trim().toLowerCase();
  const blocks = sdl.split("\n\n");
  schema.textContent = wanted ? blocks.filter((block) => block.toLowerCase().includes(wanted)).join("\n\n") || "Nothing found." : sdl;
}

query.value = start;
run.addEventListener("click", execute);
find.addEventListener("input", showSchema);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) execute();
});
fetch("/graphql/schema.graphql").then((response) => response.text()).then((text) => { sdl = text; showSchema(); });
