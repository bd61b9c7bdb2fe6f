// Keeps the status page up to date. The server made the page complete; this
// writes newer values into the same elements, always as text, never as markup:
// titles of alarms come from attackers.
"use strict";

(() => {
  const refreshEvery = 2000; // milliseconds
  const giveUpAfter = 5000;

  const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

  const uptime = (seconds) => {
    const whole = (unit) => Math.floor(seconds / unit);
    if (seconds < 60) return `${Math.max(seconds, 0)} s`;
    if (seconds < 3600) return `${whole(60)} min ${seconds % 60} s`;
    if (seconds < 86400) return `${whole(3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    return `${number(whole(86400))} d ${Math.floor((seconds % 86400) / 3600)} h`;
  };

  const formats = {
    number,
    uptime,
    text: String,
    limit: (n) => (n > 0 ? `of ${number(n)}` : "no limit"),
    choose: (value, element) => (value ? element.dataset.yes : element.dataset.no),
  };

  // at returns the member of a status that a path like "eps.now" names.
  const at = (status, path) => path.split(".").reduce((part, name) => part?.[name], status);

  const each = (selector, action) => document.querySelectorAll(selector).forEach(action);

  const showFigures = (status) => {
    each("[data-text]", (element) => {
      const value = at(status, element.dataset.text);
      if (value === undefined) return;
      const text = formats[element.dataset.as](value, element);
      if (element.textContent !== text) element.textContent = text;
    });
    each("[data-meter]", (meter) => {
      const limit = at(status, meter.dataset.limit) ?? 0;
      meter.hidden = limit <= 0;
      meter.max = limit;
      meter.high = Math.floor((limit * 4) / 5);
      meter.value = at(status, meter.dataset.meter) ?? 0;
    });
    each("[data-alert]", (card) => {
      const bad = card.dataset.alertIf !== "false";
      card.classList.toggle("alert", Boolean(at(status, card.dataset.alert)) === bad);
    });
  };

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const cell = (content, className) => {
    const made = element("td", undefined, className);
    made.append(content);
    return made;
  };

  const riskClass = (name) => {
    const known = name.toLowerCase();
    return ["low", "medium", "high"].includes(known) ? known : "none";
  };

  const row = (alarm, withLinks) => {
    const utc = new Date(alarm.time).toISOString();
    const time = element("time", utc.slice(0, 19).replace("T", " "));
    time.dateTime = `${utc.slice(0, 19)}Z`;
    let id = element("code", alarm.id);
    if (withLinks && alarm.id) {
      const link = element("a");
      link.href = `ui/#/data/alarm-detail/${encodeURIComponent(alarm.id)}`;
      link.append(id);
      id = link;
    }
    const made = element("tr");
    made.append(
      cell(time),
      cell(String(alarm.risk), "right"),
      cell(element("span", alarm.class, `class ${riskClass(alarm.class)}`)),
      cell(element("bdi", alarm.title)),
      cell(id),
    );
    return made;
  };

  let shown; // the alarms that are shown, as JSON; undefined: those of the server

  const showAlarms = (alarms, withLinks) => {
    const body = document.getElementById("alarms");
    if (!body || !alarms) return;
    const next = JSON.stringify(alarms);
    if (next === shown) return; // leave a selection or the focus where it is
    shown = next;
    body.replaceChildren(...alarms.map((alarm) => row(alarm, withLinks)));
    body.closest(".scroll").hidden = alarms.length === 0;
    document.getElementById("no-alarms").hidden = alarms.length > 0;
  };

  const notice = document.getElementById("notice");
  const tell = (text) => {
    if (notice.textContent !== text) notice.textContent = text;
    document.body.classList.toggle("stale", text !== "");
  };

  let started;

  const refresh = async () => {
    let status;
    try {
      const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(giveUpAfter) });
      if (!answer.ok) {
        tell(`The node answers ${answer.status}; what is shown is out of date.`);
        return;
      }
      status = await answer.json();
    } catch {
      tell("The node does not answer; what is shown is out of date.");
      return;
    }
    if (started !== undefined && started !== status.started) {
      location.reload(); // it was started anew, perhaps as another version
      return;
    }
    started = status.started;
    showFigures(status);
    showAlarms(status.alarms, status.links.ui);
    tell("");
  };

  // A page that nobody looks at asks for nothing.
  let waiting;
  const loop = async () => {
    clearTimeout(waiting);
    if (document.hidden) return;
    await refresh();
    clearTimeout(waiting);
    waiting = setTimeout(loop, refreshEvery);
  };
  document.addEventListener("visibilitychange", loop);
  waiting = setTimeout(loop, refreshEvery);
})();
