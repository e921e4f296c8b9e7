"use strict";
(() => {
  const block = document.getElementById("sample-data");
  if (!block) return;
  const { samples, texts, models, cases, outcomes } = JSON.parse(block.textContent);
  const section = document.getElementById("sample-section");
  const form = section.querySelector("form");
  const list = document.getElementById("sample-list");
  const count = document.getElementById("sample-count");
  const pages = section.querySelector(".pages");
  const PAGE = 50;
  const MOST_CELLS = 1_500_000;

  // Whatever a model wrote becomes text, and nothing else, here.
  const make = (tag, kind, text) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined && text !== null) element.textContent = text;
    return element;
  };
  const text = (place) => (place === null || place === undefined ? "" : texts[place]);
  const model = (sample) => cases[sample.case][sample.row];
  const badge = (sample) => make("span", `badge ${outcomes[sample.outcome].level}`, outcomes[sample.outcome].words);

  const steps = (before, after) => {
    // The longest common subsequence, the plain way: bounded by the caller.
    const width = after.length + 1;
    const table = new Uint16Array((before.length + 1) * width);
    for (let i = before.length - 1; i >= 0; i--)
      for (let j = after.length - 1; j >= 0; j--)
        table[i * width + j] =
          before[i] === after[j]
            ? table[(i + 1) * width + j + 1] + 1
            : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    const found = [];
    const add = (kind, piece) => {
      const last = found.at(-1);
      if (last && last[0] === kind) last[1] += piece;
      else found.push([kind, piece]);
    };
    let i = 0;
    let j = 0;
    while (i < before.length || j < after.length) {
      if (i < before.length && j < after.length && before[i] === after[j]) {
        add("same", before[i++]);
        j++;
      } else if (j >= after.length || (i < before.length && table[(i + 1) * width + j] >= table[i * width + j + 1]))
        add("del", before[i++]);
      else add("ins", after[j++]);
    }
    return found;
  };
  // Without commas: the last of some keys is not always the last of others.
  const sorted = (value, pad = "") => {
    if (Array.isArray(value))
      return value.length ? `[\n${value.map((one) => `${pad}  ${sorted(one, `${pad}  `)}`).join("\n")}\n${pad}]` : "[]";
    if (value && typeof value === "object") {
      const keys = Object.keys(value).sort();
      const line = (key) => `${pad}  ${JSON.stringify(key)}: ${sorted(value[key], `${pad}  `)}`;
      return keys.length ? `{\n${keys.map(line).join("\n")}\n${pad}}` : "{}";
    }
    return JSON.stringify(value);
  };
  const asJson = (said) => {
    const fenced = /^```\w*\n([\s\S]*?)```\s*$/.exec(said.trim());
    try {
      const value = JSON.parse(fenced ? fenced[1] : said);
      return value && typeof value === "object" ? sorted(value) : null;
    } catch {
      return null;
    }
  };
  const difference = (expected, reply) => {
    const [before, after] = [asJson(expected), asJson(reply)];
    const isJson = before !== null && after !== null;
    const cut = (said) => said.match(isJson ? /[^\n]*\n|[^\n]+$/g : /\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
    const [left, right] = [cut(isJson ? before : expected), cut(isJson ? after : reply)];
    if ((left.length + 1) * (right.length + 1) > MOST_CELLS) return null;
    const found = steps(left, right);
    const told = (kind) => found.some(([one, piece]) => one === kind && piece.trim());
    return told("same") && (told("ins") || told("del")) ? found : null;
  };

  const titled = (title, said, kind = "") => {
    const box = document.createDocumentFragment();
    box.append(make("h4", "", title), make("pre", kind, said));
    return box;
  };
  const drawn = (expected, reply) => {
    const found = expected && reply ? difference(expected, reply) : null;
    if (!found) return "";
    const box = document.createDocumentFragment();
    const shown = make("pre", "diff");
    for (const [kind, piece] of found) shown.append(make(kind === "same" ? "span" : kind, "", piece));
    const legend = make("h4", "", "difference: ");
    legend.append(make("del", "", "expected, missing"), " ", make("ins", "", "only in the reply"));
    box.append(legend, shown);
    return box;
  };
  const scores = (sample) => {
    const table = make("table", "scores");
    for (const score of sample.scores) {
      const row = table.insertRow();
      const name = make("th", `depth${Math.min(score.depth, 3)}`, score.name);
      name.scope = "row";
      row.append(name);
      const level = { passed: "good", failed: "bad", error: "bad", unscored: "warn" }[score.state] ?? "";
      const state = row.insertCell();
      if (score.state) state.append(make("span", `badge ${level}`, score.state));
      row.append(make("td", "num", score.value));
      const why = make("td", "small", text(score.reason));
      if (score.how) why.append(make("span", "under quiet", score.how));
      if (score.details !== null) why.append(make("span", "under quiet mono", text(score.details)));
      row.append(why);
    }
    return table;
  };
  const answers = (trial) => {
    const box = document.createDocumentFragment();
    trial.replies.forEach((reply, number) => {
      const title = trial.replies.length > 1 ? `reply ${number + 1} of ${trial.replies.length}` : "reply";
      if (reply.reasoning !== null) box.append(titled("reasoning", text(reply.reasoning), "quiet"));
      if (reply.text !== null || reply.tools === null) box.append(titled(title, text(reply.text) || "(empty)", "answer"));
      if (reply.tools !== null) box.append(titled("tools called", text(reply.tools), "answer"));
      box.append(make("p", "small quiet", reply.facts));
    });
    if (trial.answer !== null) box.append(titled("what was scored", text(trial.answer), "answer"));
    if (!trial.replies.length && trial.answer === null) box.append(make("p", "quiet", "No reply is stored."));
    return box;
  };
  const scored = (trial) => text(trial.answer) || text(trial.replies.at(-1)?.text);
  const body = (sample) => {
    const box = make("div", "exchange");
    box.append(make("p", "small quiet", sample.facts.join(" · ")));
    if (sample.why) box.append(make("p", "small", sample.why));
    if (sample.scores.length) box.append(scores(sample));
    for (const [role, place] of sample.turns) box.append(titled(role || "prompt", text(place)));
    sample.trials.forEach((trial, number) => {
      if (sample.trials.length > 1) {
        const ended = { true: "passed", false: "failed" }[trial.passed] ?? "no verdict";
        const decides = number === sample.deciding ? ", the scores above are its" : "";
        box.append(make("h4", "trial", `trial ${number + 1}: ${ended}${decides}`));
      }
      box.append(answers(trial));
    });
    if (sample.expected !== null) {
      box.append(titled("expected", text(sample.expected), "answer"));
      box.append(drawn(text(sample.expected), scored(sample.trials[sample.deciding])));
    }
    const others = make("button", "", "all models on this sample");
    others.type = "button";
    others.addEventListener("click", () => {
      form.reset();
      only = `${sample.case} ${sample.id}`;
      show(0);
      section.scrollIntoView();
    });
    const foot = make("p", "filter");
    foot.append(others);
    box.append(foot);
    return box;
  };
  const row = (sample) => {
    const details = make("details", "sample");
    const summary = make("summary");
    const shown = sample.score === null ? "" : sample.score.toFixed(2);
    summary.append(badge(sample), make("span", "name", sample.id), make("span", "of quiet", models[model(sample)]));
    summary.append(make("span", "value", shown), make("span", "why quiet", sample.why));
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(body(sample));
    });
    return details;
  };

  let only = "";
  let start = 0;
  const haystacks = new Map();
  const haystack = (sample) => {
    if (!haystacks.has(sample)) {
      const said = sample.trials.flatMap((trial) => [trial.answer, ...trial.replies.map((reply) => reply.text)]);
      const places = [...sample.turns.slice(-1).map(([, place]) => place), sample.expected, ...said];
      const reasons = sample.scores.map((score) => score.reason);
      haystacks.set(sample, [sample.id, sample.why, ...[...places, ...reasons].map(text)].join("\n").toLowerCase());
    }
    return haystacks.get(sample);
  };
  const chosen = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const is = (value, choice) => !choice || value === Number(choice);
    const needle = (wanted.text ?? "").trim().toLowerCase();
    return samples.filter(
      (sample) =>
        (!only || only === `${sample.case} ${sample.id}`) &&
        is(sample.case, wanted.case) &&
        is(model(sample), wanted.model) &&
        is(sample.outcome, wanted.outcome) &&
        (!wanted.label || sample.labels.includes(Number(wanted.label))) &&
        (!needle || haystack(sample).includes(needle)),
    );
  };
  const show = (from) => {
    const found = chosen();
    start = Math.max(0, Math.min(from, found.length - 1));
    const shown = found.slice(start, start + PAGE);
    list.replaceChildren(...shown.map(row));
    const number = (value) => value.toLocaleString("en");
    const part = found.length < samples.length ? `${number(found.length)} of ` : "";
    const where = found.length > PAGE ? `, ${number(start + 1)} to ${number(start + shown.length)} shown` : "";
    count.textContent = `${part}${number(samples.length)} samples${where}`;
    pages.hidden = found.length <= PAGE;
    for (const button of pages.querySelectorAll("button")) {
      const next = start + Number(button.dataset.step) * PAGE;
      button.disabled = next < 0 || next >= found.length;
    }
  };
  let timer = 0;
  form.addEventListener("input", () => {
    only = "";
    clearTimeout(timer);
    timer = setTimeout(() => show(0), 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of pages.querySelectorAll("button"))
    button.addEventListener("click", () => {
      show(start + Number(button.dataset.step) * PAGE);
      section.scrollIntoView();
    });
  section.querySelector(".no-script").remove();
  form.hidden = false;
  show(0);
})();
