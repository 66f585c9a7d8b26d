// The page of the guestbook: lists entries and posts new ones. What guests
// wrote reaches the page as text only, never as HTML.

const list = document.getElementById("entries");
const template = document.getElementById("entry");
const status = document.getElementById("status");
const more = document.getElementById("more");
const form = document.getElementById("sign");
const problem = document.getElementById("problem");
const thanks = document.getElementById("thanks");
const submit = form.querySelector("button");

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// next is the cursor of the page that follows, null after the last one.
let next = null;

// call returns what the API answers, or throws an Error whose message is fit
// to be shown, with the name of the field that it is about, if any.
async function call(path, options) {
  let response, body;
  try {
    response = await fetch(path, options);
    body = await response.json();
  } catch {
    throw new Error("The guestbook cannot be reached just now.");
  }
  if (!response.ok) {
    const known = response.status < 500 && body.error;
    const error = new Error(known ? `Not accepted: ${body.error}.` : "The guestbook cannot be reached just now.");
    error.field = body.field;
    throw error;
  }
  return body;
}

function render(entry) {
  const item = template.content.cloneNode(true);
  const created = new Date(entry.createdAt);
  item.querySelector(".entry-name").textContent = entry.name;
  item.querySelector(".entry-message").textContent = entry.message;
  const time = item.querySelector("time");
  time.dateTime = created.toISOString();
  time.textContent = timeFormat.format(created);
  return item;
}

// load appends the next page of entries. Where it fails, the button that asks
// for more lets one try again.
async function load() {
  more.disabled = true;
  try {
    const page = await call(next === null ? "/api/entries" : `/api/entries?before=${next}`);
    list.append(...page.entries.map(render));
    next = page.next;
    status.textContent = list.childElementCount === 0 ? "No entries yet: yours can be the first." : "";
    more.textContent = "Older entries";
    more.hidden = next === null;
  } catch (error) {
    status.textContent = error.message;
    more.textContent = "Try again";
    more.hidden = false;
  }
  more.disabled = false;
}

function showProblem(message, field) {
  problem.textContent = message;
  for (const input of [form.elements.name, form.elements.message]) {
    input.setAttribute("aria-invalid", input.name === field);
  }
}

async function sign(event) {
  event.preventDefault();
  showProblem("");
  thanks.textContent = "";
  submit.disabled = true;
  try {
    const added = await call("/api/entries", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: form.elements.name.value, message: form.elements.message.value }),
    });
    list.prepend(render(added));
    status.textContent = ""; // it may have said that there are no entries
    form.elements.message.value = "";
    thanks.textContent = "Thank you: your entry has been added.";
  } catch (error) {
    showProblem(error.message, error.field);
    form.elements[error.field]?.focus();
  }
  submit.disabled = false;
}

// The image's build writes version.txt; a folder served as it is has none.
async function showVersion() {
  const response = await fetch("/version.txt");
  if (response.ok) {
    document.getElementById("version").textContent = `Version ${(await response.text()).trim()}`;
  }
}

form.addEventListener("submit", sign);
more.addEventListener("click", load);
load();
showVersion();
