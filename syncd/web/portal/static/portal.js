// The eye: shows what was typed as a password, and hides it again. Everything else works without this file.
"use strict";

for (const eye of document.querySelectorAll("button.eye")) {
  eye.hidden = false;
  eye.addEventListener("click", () => {
    const shown = eye.getAttribute("aria-pressed") !== "true";
    for (const field of eye.form.querySelectorAll("[autocomplete=new-password]")) field.type = shown ? "text" : "password";
    eye.setAttribute("aria-pressed", String(shown));
    eye.textContent = shown ? eye.dataset.shown : eye.dataset.hidden;
  });
  // A password manager looks at what a field is when it is sent.
  eye.form.addEventListener("submit", () => {
    for (const field of eye.form.querySelectorAll("[autocomplete=new-password]")) field.type = "password";
  });
}
