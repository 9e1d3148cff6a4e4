// Draws the page from the JSON in #data. Everything from there is put in as text nodes and
// attributes, never as markup.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);

// ---- elements

// Children: elements and texts, in lists of any depth; null is none.
function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}
const make = (tag, attributes = {}, ...children) =>
    build(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
    build(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

// A printed name, which may break after each of its parts.
function code(text) {
  const parts = text.split(/(?<=[/@_.-])/);
  return make('code', {}, parts.flatMap((part, i) => i === 0 ? [part] : [make('wbr'), part]));
}

// ---- words and figures

const UNITS = [['s', 1e9], ['ms', 1e6], ['µs', 1e3], ['ns', 1]];
const unitOf = (ns) => UNITS.find(([, factor]) => ns >= factor) || UNITS[3];

function digits(value, precision) {
  const places = Math.max(0, precision - 1 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(places, 6));
}

function timeText(ns) {
  const [unit, factor] = unitOf(ns);
  return `${digits(ns / factor, 4)} ${unit}`;
}
function spreadText(time) {
  if (!time || time.p10 === null || time.p90 === null || time.samples < 2) return '';
  const [unit, factor] = unitOf(time.median);
  return `${digits(time.p10 / factor, 3)}–${digits(time.p90 / factor, 3)} ${unit}`;
}
const NO_END = 2 ** 62;
function count(n) {
  if (n >= NO_END) return 'no end';
  return n < 1e15 ? n.toLocaleString('en-US') : n.toExponential(2);
}
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + 's'}`;
const bytesText = (n) => {
  const [unit, factor] = [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]].find(
      ([, size]) => n >= size) || ['bytes', 1];
  return `${digits(n / factor, 3)} ${unit}`;
};
const rangeText = ([low, high]) => low === high ? count(low) : `${count(low)} to ${count(high)}`;
const dateText = (date) => date.replace('T', ' ').replace('Z', ' UTC');

const isCpu = (device) => device.kind === 'cpu';
function deviceText(device) {
  const units = device.units > 0 ?
      `, ${count(device.units)} ${isCpu(device) ? 'threads' : 'multiprocessors'}` :
      '';
  return `${device.name || 'unnamed device'} (${device.architecture}${units})`;
}
const sizeText = (tuning) => plural(tuning.rows, 'row') +
    (tuning.inner === 1 ? '' : `, ${count(tuning.inner)} elements a channel`);

// Default over winner: above 1, the winner is faster.
function gainOf(winner) {
  if (!winner.time_ns || !winner.default_time_ns || !(winner.time_ns.median > 0)) return null;
  return winner.default_time_ns.median / winner.time_ns.median;
}
function gainText(winner) {
  if (winner.time_ns && winner.schedule === winner.default) return 'default kept';
  const gain = gainOf(winner);
  return gain === null ? '' : `${digits(gain, 3)}×`;
}

// Moving the same bytes: as it was timed, else at the data sheet's bandwidth.
function floorOf(winner) {
  if (winner.bound_ns !== null) return {ns: winner.bound_ns, kind: winner.bound_kind};
  return winner.prediction ? {ns: winner.prediction.floor_ns, kind: 'data sheet'} : null;
}
function floorShare(winner) {
  const floor = floorOf(winner);
  return floor && winner.time_ns && winner.time_ns.median > 0 ? floor.ns / winner.time_ns.median : null;
}

// ---- tables

const ROWS_AT_FIRST = 12;

// columns: {name, value(row): what is sorted by, null last; cell(row): shown, else the value;
// kind: 'number' or 'long'}. The first column heads its row.
function table(caption, columns, rows, sorted) {
  const order = {column: null, descending: false};
  const body = make('tbody');
  const state = make('span', {class: 'unseen', 'aria-live': 'polite'});
  const items = rows.map((row) => ({row, element: rowOf(columns, row)}));
  let shown = Math.min(ROWS_AT_FIRST, items.length);
  const more = make('button', {class: 'more', type: 'button'});
  const show = () => {
    body.replaceChildren(...items.slice(0, shown).map((item) => item.element));
    more.textContent = shown < items.length ? `Show all ${count(items.length)}` :
                                              `Show the first ${ROWS_AT_FIRST}`;
  };
  more.addEventListener('click', () => {
    shown = shown < items.length ? items.length : ROWS_AT_FIRST;
    show();
  });
  const sort = (column) => {
    order.descending = order.column === column && !order.descending;
    order.column = column;
    items.sort((a, b) => compare(column.value(a.row), column.value(b.row), order.descending));
    const direction = order.descending ? 'descending' : 'ascending';
    heads.forEach((head, i) => {
      if (columns[i] === column) head.setAttribute('aria-sort', direction);
      else head.removeAttribute('aria-sort');
    });
    show();
    return direction;
  };
  const heads = columns.map((column) => {
    const button = make('button', {type: 'button'}, column.name);
    button.addEventListener('click', () => {
      state.textContent = `Sorted by ${column.name}, ${sort(column)}.`;
    });
    return make('th', {scope: 'col', class: column.kind}, button);
  });
  sort(columns.find((column) => column.name === sorted) || columns[0]);
  const region = make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption},
                      make('table', {}, make('caption', {}, caption), make('thead', {},
                      make('tr', {}, heads)), body));
  return [region, state, items.length > ROWS_AT_FIRST ? more : null];
}

function rowOf(columns, row) {
  return make('tr', {}, columns.map((column, i) => {
    const value = column.cell ? column.cell(row) : column.value(row);
    return make(i === 0 ? 'th' : 'td', {scope: i === 0 ? 'row' : null, class: column.kind},
                value === null ? '' : value);
  }));
}

function compare(a, b, descending) {
  const missing = (value) => value === null || value === undefined || value === '';
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const result = typeof a === 'number' ? a - b : a.localeCompare(b, 'en', {numeric: true});
  return descending ? -result : result;
}

// ---- plots

// Draws into a figure as wide as it is, again when that changes, and first when it is seen.
const painters = new WeakMap();
const observer = new ResizeObserver((entries) => {
  for (const {target, contentRect} of entries) {
    const width = Math.floor(contentRect.width);
    const painter = painters.get(target);
    if (width < 1 || painter.width === width) continue;
    painter.width = width;
    target.replaceChildren(painter.paint(width));
  }
});
function plot(caption, paint) {
  const holder = make('div');
  painters.set(holder, {paint, width: 0});
  observer.observe(holder);
  return make('figure', {}, make('figcaption', {}, caption), holder);
}

// Ticks of 1, 2 and 5 within [low, high].
function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; ++power) {
    for (const step of [1, 2, 5]) ticks.push(step * 10 ** power);
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}
function linearTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; ++i) ticks.push(i * step);
  return ticks;
}

// The scale of times (ns) that all plots of a tuning share: logarithmic where they span more than
// three times. It ends at 8 times the fastest, unless what `must` be seen is slower.
const SPAN = 8;
function timeScale(times, must) {
  const fastest = Math.min(...times);
  const least = Math.min(fastest, ...must);
  const most = Math.max(Math.min(Math.max(...times), SPAN * fastest), ...must);
  const [unit, factor] = unitOf(least);
  const log = most > 3 * least;
  const pad = log ? (most / least) ** .06 : (most - least) * .08 || least * .1;
  const low = (log ? least / pad : least - pad) / factor;
  const high = (log ? most * pad : most + pad) / factor;
  const place = (value) => log ? Math.log(value / low) / Math.log(high / low) :
                                 (value - low) / (high - low);
  return {
    label: `time, ${unit}${log ? ' (log scale)' : ''}`,
    ticks: (log ? logTicks(low, high) : linearTicks(low, high, 5)).map(
        (value) => ({at: place(value), text: String(+value.toPrecision(6))})),
    place: (ns) => place(ns / factor),
    most,
  };
}

const MARKS = {
  candidate: (x, y) => draw('circle', {class: 'candidate', cx: x, cy: y, r: 3.2}),
  predicted: (x, y) => draw('circle', {class: 'predicted', cx: x, cy: y, r: 3.2}),
  default: (x, y) => draw('rect', {class: 'default-mark', x: x - 4.5, y: y - 4.5, width: 9, height: 9}),
  beyond: (x, y) => draw('path', {class: 'beyond', d: `M${x} ${y - 4}l4.5 8h-9z`}),
  winner: (x, y) => draw('path', {class: 'winner-mark', d: `M${x} ${y - 7}l7 7l-7 7l-7-7z`}),
};

// frame: {width, height, scale, floor, xLabel, xTicks: [{at: 0..1, text}], title}
// -> {svg, x(0..1), y(ns)}
function axes(frame) {
  const box = {left: 48, right: frame.width - 8, top: 24, bottom: frame.height - 44};
  const x = (share) => box.left + share * (box.right - box.left);
  const up = (share) => box.bottom - share * (box.bottom - box.top);
  const svg = draw('svg', {
    width: frame.width, height: frame.height, viewBox: `0 0 ${frame.width} ${frame.height}`,
    role: 'img', 'aria-label': frame.title,
  });
  for (const tick of frame.scale.ticks) {
    svg.append(
        draw('line', {class: 'grid', x1: box.left, x2: box.right, y1: up(tick.at), y2: up(tick.at)}),
        draw('text', {x: box.left - 6, y: up(tick.at) + 4, 'text-anchor': 'end'}, tick.text));
  }
  for (const tick of frame.xTicks) {
    svg.append(
        draw('line', {class: 'axis', x1: x(tick.at), x2: x(tick.at), y1: box.bottom, y2: box.bottom + 4}),
        draw('text', {x: x(tick.at), y: box.bottom + 17, 'text-anchor': 'middle'}, tick.text));
  }
  svg.append(
      draw('line', {class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom}),
      draw('text', {class: 'axis-label y', x: 2, y: 12}, frame.scale.label),
      draw('text', {class: 'axis-label x', x: (box.left + box.right) / 2, y: frame.height - 8,
                    'text-anchor': 'middle'}, frame.xLabel));
  const y = (ns) => up(frame.scale.place(ns));
  if (frame.floor) {
    const place = y(frame.floor.ns);
    svg.append(draw('line', {class: 'floor', x1: box.left, x2: box.right, y1: place, y2: place}));
  }
  return {svg, x, y, box};
}

// A point slower than the axis ends is marked at its end.
function addMark({svg, y, box}, scale, point, x) {
  const mark = point.ns > scale.most ? MARKS.beyond(x, box.top - 1) : MARKS[point.role](x, y(point.ns));
  const label = point.role === 'winner' || point.role === 'default' ? `${point.role}: ` : '';
  mark.append(draw('title', {}, `${label}${point.schedule}\n${timeText(point.ns)}` +
                   `${point.candidate.predicted ? ' (predicted)' : ''}`));
  svg.append(mark);
}

// Winner and default lie above the rest.
const DEPTH = {candidate: 0, predicted: 0, default: 1, winner: 2};
const byDepth = (points) => [...points].sort((a, b) => DEPTH[a.role] - DEPTH[b.role]);

function rankPlot(points, scale, floor) {
  const last = points.length;
  const caption = [make('b', {}, 'All candidates'), `, fastest first; bars from the 10th to the 90th percentile`];
  return plot(caption, (width) => {
    const at = (rank) => last === 1 ? .5 : .015 + .97 * (rank - 1) / (last - 1);
    const step = Math.max(1, Math.ceil(last / Math.max(2, Math.floor(width / 90))));
    const ranks = [1];
    for (let rank = step; rank <= last; rank += step) if (rank > 1) ranks.push(rank);
    const fastest = points[0];
    const frame = axes({
      width, height: 280, scale, floor,
      xLabel: 'rank (candidates, by median time)',
      xTicks: ranks.map((rank) => ({at: at(rank), text: count(rank)})),
      title: `Times of ${plural(last, 'candidate')}, from ${timeText(fastest.ns)} to ` +
          `${timeText(points[last - 1].ns)}. ${floor ? floor.text + '. ' : ''}The table has them all.`,
    });
    const {svg, x, y, box} = frame;
    const within = (place) => Math.min(box.bottom, Math.max(box.top, place));
    for (const point of points) {
      const {p10, p90} = point.candidate.time_ns;
      if (p10 === null || p90 === null) continue;
      const place = x(at(point.rank));
      svg.append(draw('line', {class: 'spread', x1: place, x2: place, y1: within(y(p10)), y2: within(y(p90))}));
    }
    for (const point of byDepth(points)) addMark(frame, scale, point, x(at(point.rank)));
    if (floor) {
      svg.append(draw('text', {class: 'floor-label', x: box.right, y: y(floor.ns) - 5, 'text-anchor': 'end'}, floor.text));
    }
    return svg;
  });
}

function parameterPlot(parameter, points, scale, floor) {
  const bands = parameter.values.length;
  const best = parameter.values.map((_, i) => points.filter((point) => parameter.of[point.index] === i)
                                                    .reduce((least, point) => Math.min(least, point.ns), Infinity));
  const name = parameter.name.replaceAll('_', ' ');
  const label = parameter.unit ? `${name} (${parameter.unit})` : name;
  return plot([make('b', {}, name), `: ${parameter.says}`], (width) => {
    const center = (band) => (band + .5) / bands;
    const frame = axes({
      width, height: 220, scale, floor, xLabel: label,
      xTicks: parameter.values.map((text, band) => ({at: center(band), text})),
      title: `Time against ${label}. Best: ` + parameter.values.map(
          (text, i) => `${text}: ${timeText(best[i])}`).join('; ') + '.',
    });
    const {svg, x, y} = frame;
    const half = (x(1) - x(0)) / bands * .36;
    for (const point of byDepth(points)) {
      const band = parameter.of[point.index];
      if (band === null) continue;
      // Points of one value are spread so that they are seen, the same way every time.
      const shift = DEPTH[point.role] > 0 ? 0 : ((point.rank * .618034) % 1 - .5) * 2 * half;
      addMark(frame, scale, point, x(center(band)) + shift);
    }
    best.forEach((ns, band) => {
      if (ns > scale.most) return;  // its marks at the end of the axis tell
      svg.append(draw('line', {class: 'best', x1: x(center(band)) - half - 3, x2: x(center(band)) + half + 3,
                               y1: y(ns), y2: y(ns)}));
    });
    return svg;
  });
}

function legend(points, scale, floor, bars) {
  const beyond = points.filter((point) => point.ns > scale.most).length;
  const item = (shape, text) => make('li', {}, draw('svg', {width: 22, height: 16, 'aria-hidden': 'true'}, shape), text);
  const has = (role) => points.some((point) => point.role === role);
  return make('ul', {class: 'legend'},
      has('winner') ? item(MARKS.winner(11, 8), 'winner') : null,
      has('default') ? item(MARKS.default(11, 8), 'default') : null,
      has('candidate') ? item(MARKS.candidate(11, 8), 'other candidate') : null,
      has('predicted') ? item(MARKS.predicted(11, 8), 'predicted') : null,
      beyond > 0 ? item(MARKS.beyond(11, 8), `slower than the axis ends (${count(beyond)})`) : null,
      bars ? item(draw('line', {class: 'best', x1: 2, x2: 20, y1: 8, y2: 8}), 'best of a value') : null,
      floor ? item(draw('line', {class: 'floor', x1: 0, x2: 22, y1: 8, y2: 8}), floor.text) : null);
}

// ---- ranges of rows

const letterOf = (i) => (i >= 26 ? letterOf(Math.floor(i / 26) - 1) : '') + String.fromCharCode(65 + i % 26);

function ranges(task, strip) {
  const letters = new Map();
  const parts = strip.parts.map((part) => {
    const winner = task.winners[part.winner];
    if (!letters.has(winner.schedule)) letters.set(winner.schedule, letters.size);
    return {...part, winner, letter: letters.get(winner.schedule)};
  });
  const crossings = parts.slice(1).filter(
      (part, i) => part.letter !== parts[i].letter && part.rows[0] === parts[i].rows[1] + 1);
  const told = crossings.length === 0 ? 'No crossover is known.' :
      'Crossovers: ' + crossings.map((part) => `at ${plural(part.rows[0], 'row')} to ${letterOf(part.letter)}`).join(', ') + '.';
  const shared = strip.determinism.replaceAll('_', ' ') +
      (strip.inner[1] === 1 ? '' : `, ${rangeText(strip.inner)} elements a channel`);
  const known = make('p', {class: 'muted'},
      `Determinism ${shared}. ${told} Outside these ranges the winner of the nearest one runs.`);
  const list = table(`Winners by rows, ${shared}`, [
    {name: 'range', value: (part) => part.rows[0], cell: (part) => `${letterOf(part.letter)}: ${rangeText(part.rows)} rows`},
    {name: 'schedule', kind: 'long', value: (part) => part.winner.schedule, cell: (part) => code(part.winner.schedule)},
    {name: 'tuned at', kind: 'number', value: (part) => part.winner.tuned_rows, cell: (part) => plural(part.winner.tuned_rows, 'row')},
    {name: 'median', kind: 'number', value: (part) => part.winner.time_ns && part.winner.time_ns.median,
     cell: (part) => part.winner.time_ns ? timeText(part.winner.time_ns.median) : 'not timed'},
    {name: 'evidence', kind: 'long', value: (part) => part.winner.evidence},
  ], parts);
  return [known, plot('Rows of a call and the schedule that runs them', (width) => stripPlot(parts, crossings, width)), list];
}

function stripPlot(parts, crossings, width) {
  const low = Math.max(1, parts[0].rows[0]);
  const ends = parts.map((part) => part.rows[1]).filter((end) => end < NO_END);
  const tuned = parts.map((part) => part.winner.tuned_rows);
  const high = Math.max(low * 2, ...ends, ...parts.map((part) => part.rows[0] * 2), ...tuned);
  const box = {left: 8, right: width - 8, top: 24, bottom: 58};
  const x = (rows) => {
    const share = Math.log(Math.min(Math.max(rows, low), high) / low) / Math.log(high / low);
    return box.left + share * (box.right - box.left);
  };
  const svg = draw('svg', {
    width, height: 108, viewBox: `0 0 ${width} 108`, role: 'img',
    'aria-label': 'Rows: ' + parts.map((part) => `${rangeText(part.rows)}: ${letterOf(part.letter)}`).join('; ') + '.',
  });
  svg.append(draw('rect', {class: 'unheld', x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top}));
  for (const part of parts) {
    const from = x(part.rows[0]);
    const to = Math.max(x(part.rows[1]), from + 3);
    svg.append(draw('rect', {class: part.letter % 2 ? 'part odd' : 'part', x: from, y: box.top,
                             width: to - from, height: box.bottom - box.top},
                    draw('title', {}, `${rangeText(part.rows)} rows: ${part.winner.schedule}`)));
    if (to - from > 16) {
      svg.append(draw('text', {class: 'part-label', x: (from + to) / 2, y: (box.top + box.bottom) / 2 + 4,
                               'text-anchor': 'middle'}, letterOf(part.letter)));
    }
  }
  let free = 0;
  for (const part of crossings) {
    const place = x(part.rows[0]);
    const text = count(part.rows[0]);
    if (place - 4 * text.length < free) continue;  // the text above tells them all
    free = place + 4 * text.length + 8;
    svg.append(draw('line', {class: 'axis', x1: place, x2: place, y1: 17, y2: box.bottom}),
               draw('text', {class: 'crossing', x: place, y: 12, 'text-anchor': 'middle'}, text));
  }
  let ticks = logTicks(low, high);
  if (ticks.length * 60 > width) ticks = ticks.filter((tick) => Number.isInteger(Math.log10(tick)));
  for (const tick of ticks) {
    const anchor = x(tick) < 30 ? 'start' : x(tick) > width - 30 ? 'end' : 'middle';
    svg.append(draw('line', {class: 'axis', x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4}),
               draw('text', {x: anchor === 'middle' ? x(tick) : anchor === 'start' ? 0 : width,
                             y: box.bottom + 17, 'text-anchor': anchor}, count(tick)));
  }
  svg.append(draw('text', {class: 'axis-label x', x: width / 2, y: 100, 'text-anchor': 'middle'},
                  'rows of a call (log scale)'));
  return svg;
}

// ---- a tuning

function figures(winner) {
  const figure = (name, value, small) =>
      make('div', {}, make('dt', {}, name), make('dd', {}, value, small ? make('small', {}, small) : null));
  const samples = (time) => time.samples > 0 ?
      [spreadText(time), plural(time.samples, 'timing')].filter((word) => word).join(', ') : 'predicted';
  const share = floorShare(winner);
  const floor = floorOf(winner);
  const same = winner.schedule === winner.default;
  return make('dl', {class: 'figures'},
      figure('winner', winner.time_ns ? timeText(winner.time_ns.median) : 'not timed', winner.time_ns && samples(winner.time_ns)),
      figure('default', winner.default_time_ns ? timeText(winner.default_time_ns.median) : 'not timed',
             winner.default_time_ns && samples(winner.default_time_ns)),
      figure('gain over the default', gainText(winner) || 'unknown',
             winner.time_ns && (same ? 'nothing was faster by more than the noise' : 'default / winner')),
      figure('memory floor', floor ? timeText(floor.ns) : 'not timed',
             share === null ? null : `${floor.kind}; ${digits(share * 100, 2)} % of the winner's time`),
      figure('error / bound', winner.error_scaled === null ? 'not checked' : digits(winner.error_scaled, 3), 'right up to 1'),
      figure('evidence', winner.evidence.split(',')[0], winner.evidence.split(', ').slice(1).join(', ')));
}

// What each resource alone would take, beside the whole and the floor of DRAM.
function predictionPart(winner) {
  const {bound, floor_ns: floor, tail_ns: tail, parts_ns: all, assumed, basis, basis_why: why, low_ns: low, high_ns: high} =
      winner.prediction;
  const whole = winner.time_ns.median;
  const parts = Object.entries(all).filter(([, ns]) => ns >= whole / 1000).sort((a, b) => b[1] - a[1]);
  if (parts.length === 0) return [];
  const [unit, factor] = unitOf(whole);
  const most = Math.max(whole, parts[0][1]) * 1.02;
  const caption = [make('b', {}, 'What the predicted time is made of'), `: what each resource alone would take. They overlap`];
  return [plot(caption, (width) => {
    const step = 24;
    const box = {left: 96, right: width - 60, top: 20, bottom: 20 + step * parts.length};
    const x = (ns) => box.left + ns / most * (box.right - box.left);
    const height = box.bottom + 40;
    const svg = draw('svg', {
      width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
      'aria-label': `Predicted ${timeText(whole)}, bound by ${bound}. ` +
          parts.map(([resource, ns]) => `${resource}: ${timeText(ns)}`).join('; ') + '.',
    });
    for (const tick of linearTicks(0, most / factor, Math.max(2, Math.floor(width / 120)))) {
      const place = x(tick * factor);
      svg.append(draw('line', {class: 'grid', x1: place, x2: place, y1: box.top, y2: box.bottom}),
                 draw('text', {x: place, y: box.bottom + 15, 'text-anchor': 'middle'}, String(+tick.toPrecision(6))));
    }
    parts.forEach(([resource, ns], i) => {
      const y = box.top + i * step;
      svg.append(draw('text', {x: box.left - 6, y: y + 16, 'text-anchor': 'end'}, resource),
                 draw('rect', {class: 'resource', x: box.left, y: y + 4, width: Math.max(1, x(ns) - box.left), height: step - 8},
                      draw('title', {}, `${resource}: ${timeText(ns)}`)),
                 draw('text', {x: x(ns) + 5, y: y + 16}, `${digits(100 * ns / whole, 2)} %`));
    });
    const line = (name, ns, text, anchor) => [
      draw('line', {class: name, x1: x(ns), x2: x(ns), y1: box.top - 2, y2: box.bottom}),
      draw('text', {class: `${name}-label`, x: x(ns), y: 12, 'text-anchor': anchor}, text)];
    svg.append(...line('floor', floor, 'floor of DRAM', floor < whole / 2 ? 'start' : 'end'),
               ...(floor > .75 * whole ? [] : line('best', whole, 'predicted', 'middle')),
               draw('line', {class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom}),
               draw('text', {class: 'axis-label x', x: (box.left + box.right) / 2, y: height - 6, 'text-anchor': 'middle'},
                    `time, ${unit}`));
    return svg;
  }), make('p', {class: 'muted'}, `Bound by ${bound}; ${digits(100 * floor / whole, 2)} % is the floor of DRAM` +
          (tail > whole / 1000 ? `; ${timeText(tail)} of it multiprocessors wait for the last blocks` : '') + '.' +
          (high > 0 ? ` Nine times in ten the time lies between ${timeText(low)} and ${timeText(high)} (${basis}: ${why}).` : '') +
          (assumed.length > 0 ? ` It rests on assumed figures: ${assumed.join('; ')}.` : ''))];
}

function candidateTable(tuning, roles, caption) {
  const failed = tuning.candidates.some((c) => c.why);
  return table(caption, [
    {name: 'schedule', value: (c) => c.schedule, cell: (c) => [
      ...['winner', 'default'].filter((role) => roles[role].has(c.schedule)).map(
          (role) => make('span', {class: `tag ${role}`}, role)),
      code(c.schedule)]},
    {name: 'median', kind: 'number', value: (c) => c.time_ns && c.time_ns.median, cell: (c) => c.time_ns ? timeText(c.time_ns.median) : ''},
    {name: 'ratio to default', kind: 'number', value: (c) => c.ratio, cell: (c) => c.ratio === null ? '' : c.ratio.toFixed(3)},
    {name: 'p10–p90', kind: 'number', value: (c) => c.time_ns && c.time_ns.p10, cell: (c) => spreadText(c.time_ns)},
    {name: 'timings', kind: 'number', value: (c) => c.time_ns && c.time_ns.samples, cell: (c) => c.time_ns && c.time_ns.samples > 0 ? count(c.time_ns.samples) : ''},
    {name: 'error / bound', kind: 'number', value: (c) => c.error_scaled, cell: (c) => c.error_scaled === null ? '' :
        make('span', {class: c.error_scaled > 1 ? 'wrong' : null}, digits(c.error_scaled, 3))},
    {name: 'status', value: (c) => c.status.replaceAll('_', ' ')},
    {name: 'evidence', value: (c) => !c.time_ns ? '' : c.predicted ? 'predicted' : 'measured'},
    ...(failed ? [{name: 'why', kind: 'long', value: (c) => c.why || ''}] : []),
  ], tuning.candidates, 'median');
}

function tuningPart(task, tuning) {
  const winners = tuning.winners.map((at) => task.winners[at]);
  const roles = {winner: new Set(winners.map((winner) => winner.schedule)), default: new Set([tuning.default])};
  const points = [];
  tuning.candidates.forEach((candidate, index) => {
    if (!candidate.time_ns) return;
    const role = ['winner', 'default'].find((name) => roles[name].has(candidate.schedule)) ||
        (candidate.predicted ? 'predicted' : 'candidate');
    points.push({candidate, index, role, schedule: candidate.schedule, ns: candidate.time_ns.median, rank: points.length + 1});
  });
  const least = winners.map(floorOf).find((found) => found);
  const floor = least && {ns: least.ns, text: `memory floor ${timeText(least.ns)} (${least.kind})`};
  const statuses = Object.entries(tuning.statuses).map(([status, n]) => `${count(n)} ${status.replaceAll('_', ' ')}`).join(', ');
  const shown = tuning.candidates.length;
  const made = tuning.timings > 0 ? ` ${plural(tuning.timings, 'timing')} with ${tuning.compiler}, until ${dateText(tuning.date)}.` : '';
  const left = tuning.left_out > 0 ? ` ${count(tuning.left_out)} slower or failed ones are not shown.` : '';
  const older = tuning.older_lines > 0 ? ` ${plural(tuning.older_lines, 'measurement')} by another compiler or generator left out.` : '';
  const parts = [make('h3', {}, sizeText(tuning))];
  for (const winner of winners) {
    parts.push(make('p', {}, winner.schedule === winner.default ? 'Winner, which is the default: ' : 'Winner: ', code(winner.schedule),
                    winners.length > 1 ? ` (${winner.determinism.replaceAll('_', ' ')})` : ''), figures(winner));
    if (winner.prediction && winner.time_ns) parts.push(predictionPart(winner));
  }
  if (winners.length === 0) parts.push(make('p', {}, 'No winner is stored for this size: the tuning was stopped, or its winner is of another default.'));
  parts.push(make('p', {class: 'muted'}, `Default: `, code(tuning.default), `. Candidates: ${statuses || 'none'}.${made}${left}${older}`));
  if (points.length > 0) {
    const times = points.map((point) => point.ns);
    const seen = points.filter((point) => DEPTH[point.role] > 0).map((point) => point.ns);
    const scale = timeScale(times, floor ? [...seen, floor.ns] : seen);
    parts.push(make('h4', {}, 'Time of each candidate'), legend(points, scale, floor, tuning.parameters.length > 0), rankPlot(points, scale, floor));
    if (tuning.parameters.length > 0) {
      parts.push(make('h4', {}, 'Time against each parameter that varies'),
                 make('div', {class: 'panels'}, tuning.parameters.map((parameter) => parameterPlot(parameter, points, scale, floor))));
    }
  }
  if (shown > 0) {
    parts.push(make('h4', {}, 'Candidates'),
               tuning.timings === 0 ? null : make('p', {class: 'muted'}, 'With all that was measured of them. The winner is chosen among finalists, ' +
                   'compared round by round: a candidate of few timings may have a smaller median.'),
               candidateTable(tuning, roles, `${plural(shown, 'candidate')} at ${sizeText(tuning)}`));
  }
  return parts;
}

// ---- a task on a device

function winnersTable(task) {
  return table(plural(task.winners.length, 'winner'), [
    {name: 'tuned at', value: (w) => w.tuned_rows, cell: (w) => plural(w.tuned_rows, 'row') +
        (w.tuned_inner === 1 ? '' : ` × ${count(w.tuned_inner)}`)},
    {name: 'schedule', kind: 'long', value: (w) => w.schedule, cell: (w) => code(w.schedule)},
    {name: 'holds for rows', kind: 'number', value: (w) => w.rows[0], cell: (w) => rangeText(w.rows)},
    {name: 'median', kind: 'number', value: (w) => w.time_ns && w.time_ns.median, cell: (w) => w.time_ns ? timeText(w.time_ns.median) : 'not timed'},
    {name: 'gain', kind: 'number', value: gainOf, cell: gainText},
    {name: 'evidence', kind: 'long', value: (w) => w.evidence},
    {name: 'determinism', value: (w) => w.determinism.replaceAll('_', ' ')},
    {name: 'date', value: (w) => w.date, cell: (w) => dateText(w.date)},
    {name: 'compiler', value: (w) => w.compiler},
    {name: 'driver', value: (w) => w.driver},
    {name: 'grkan', value: (w) => w.grkan},
    {name: 'file', kind: 'long', value: (w) => w.path, cell: (w) => code(w.path)},
  ], task.winners);
}

function machine(task) {
  const device = task.device;
  const distinct = (values) => [...new Set(values.filter((value) => value))].join(', ');
  const facts = [
    ['device', device.name],
    ['architecture', device.architecture],
    ['features', device.features],
    [isCpu(device) ? 'threads' : 'multiprocessors', device.units > 0 ? count(device.units) : ''],
    ['memory', device.memory_bytes > 0 ? bytesText(device.memory_bytes) : ''],
    [isCpu(device) ? 'last-level cache' : 'L2 cache', device.cache_bytes > 0 ? bytesText(device.cache_bytes) : ''],
    ['compiler', distinct([...task.tunings.map((t) => t.compiler), ...task.winners.map((w) => w.compiler)])],
    ['driver', distinct(task.winners.map((w) => w.driver)) || (isCpu(device) ? '' : 'not told')],
    ['grkan', distinct(task.winners.map((w) => w.grkan))],
    ['last measured or stored', distinct([task.tunings.map((t) => t.date).sort().at(-1)]).replace('T', ' ').replace('Z', ' UTC')],
  ];
  return make('dl', {class: 'facts'}, facts.filter(([, value]) => value).map(
      ([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
}

function taskPart(task, index, open) {
  const at = task.tunings.flatMap((tuning) => tuning.winners);
  const winner = at.length > 0 ? task.winners[at[0]] : null;
  const said = task.tunings.length > 1 ? [plural(task.tunings.length, 'size')] :
      winner === null ? ['no winner stored'] :
                        [winner.time_ns && timeText(winner.time_ns.median), gainText(winner), winner.evidence];
  const part = make('details', {class: 'task', id: `task-${index}`}, make('summary', {},
      make('h2', {}, code(task.task)), make('span', {class: 'said'}, said.filter((word) => word).join(' · ')),
      make('span', {class: 'device'}, `${deviceText(task.device)}; tuned at ${task.tunings.map(sizeText).join('; ')}`)));
  // A task is put together when it is first opened: there may be hundreds.
  const fill = () => {
    if (!part.open || part.childElementCount > 1) return;
    const strips = task.ranges.filter((strip) => strip.parts.length > 0);
    build(part, {}, [
      task.tunings.map((tuning) => tuningPart(task, tuning)),
      strips.length > 0 ? make('h3', {}, 'Which winner runs at which rows') : null,
      strips.map((strip) => ranges(task, strip)),
      task.winners.length > 0 ? [make('h3', {}, 'Winners stored'), winnersTable(task)] : null,
      make('h3', {}, 'Machine'), machine(task),
    ]);
  };
  part.addEventListener('toggle', fill);
  part.open = open;
  fill();
  return part;
}

// ---- the page

function index(tasks) {
  const rows = tasks.flatMap((task, at) => task.tunings.flatMap((tuning) => {
    const winners = tuning.winners.map((i) => task.winners[i]);
    return (winners.length > 0 ? winners : [null]).map((winner) => ({task, at, tuning, winner}));
  }));
  const of = (get) => (row) => row.winner ? get(row.winner) : null;
  return table(plural(rows.length, 'tuning'), [
    {name: 'task', value: (row) => row.task.task, cell: (row) => make('a', {href: `#task-${row.at}`}, code(row.task.task))},
    {name: 'rows', kind: 'number', value: (row) => row.tuning.rows, cell: (row) => count(row.tuning.rows) +
        (row.tuning.inner === 1 ? '' : ` × ${count(row.tuning.inner)}`)},
    {name: 'median', kind: 'number', value: of((w) => w.time_ns && w.time_ns.median),
     cell: (row) => row.winner ? (row.winner.time_ns ? timeText(row.winner.time_ns.median) : 'not timed') : 'no winner'},
    {name: 'gain', kind: 'number', value: of(gainOf), cell: of(gainText)},
    {name: 'floor / time', kind: 'number', value: of(floorShare), cell: of((w) => floorShare(w) === null ? '' : digits(floorShare(w), 2))},
    {name: 'evidence', value: of((w) => w.evidence)},
    {name: 'device', kind: 'long', value: (row) => deviceText(row.task.device)},
  ], rows);
}

function notes(title, lines) {
  return lines.length === 0 ? null :
      make('div', {class: 'notes'}, make('b', {}, title), make('ul', {}, lines.map((line) => make('li', {}, line))));
}

const SIZES_OPEN_AT_FIRST = 6;
let sizes = 0;
const parts = data.tasks.map((task, i) => {
  sizes += task.tunings.length;
  return taskPart(task, i, sizes <= SIZES_OPEN_AT_FIRST);
});
build(document.getElementById('page'), {}, [
  make('h1', {}, 'Tunings'),
  make('p', {class: 'muted'}, `${plural(data.measurements, 'measurement')} and ${plural(data.winners, 'winner')} from `,
       code(data.folder), `, read ${dateText(data.date)} by grkan ${data.grkan}. Gain is the default's time over the winner's; ` +
       `floor / time is the share of the winner's time that moving the same bytes takes.`),
  notes('Not on this page', data.left_out),
  notes('Files with a defect, which are never used', data.defects.map((defect) => `${defect.path}: ${defect.why}`)),
  index(data.tasks),
  parts,
]);

// A link to a task opens it.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener('hashchange', openTarget);
openTarget();
