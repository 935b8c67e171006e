"use strict";
// What a script adds to a page that reads fully without it: the film plays by itself, and Escape closes the images of a class.

(() => {
  const film = document.querySelector(".film");
  if (film) {
    const moments = [...film.querySelectorAll("input")], button = document.createElement("button");
    let timer = null;
    const at = () => moments.findIndex((input) => input.checked);
    const step = () => (moments[(at() + 1) % moments.length].checked = true);
    const play = (on) => {
      clearInterval(timer);
      timer = on ? setInterval(step, 700) : null;
      button.textContent = on ? "Pause" : "Play";
    };
    button.type = "button";
    button.addEventListener("click", () => play(timer === null));
    film.querySelector(".reels").before(button);
    moments.forEach((input) => input.addEventListener("input", () => play(false)));
    play(false);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
      new IntersectionObserver((seen, observer) => {
        if (!seen.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        play(true);
      }).observe(film);
    }
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.querySelector(".lightbox:target")) {
      document.querySelector(".lightbox:target .close").click();
    }
  });
})();
