// The map viewer. Places are metres of the polar plane: Leaflet's latitude is y, its longitude x.
"use strict";

const at = (id) => document.getElementById(id);
const controls = { region: at("region"), tile: at("tile"), layer: at("layer"), opacity: at("opacity"), compare: at("compare"),
  before: at("before"), divider: at("divider"), day: at("day"), play: at("play") };
let index = null, map = null, after = null, earlier = null, playing = null, asked = 0;

const wanted = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
for (const name of ["region", "layer", "opacity"]) {
  if (wanted[name] !== undefined) controls[name].value = wanted[name];
  if (!controls[name].value) controls[name].selectedIndex = 0;
}
const day = () => index.days[Number(controls.day.value)]?.day;
const address = (when) => `map/${controls.region.value}/${when}/${controls.layer.value}/{z}/{x}/{y}.png`;

async function json(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

function made(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "polyline", "text", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "background") element.style.background = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

async function open_region() {
  index = await json(`map/${controls.region.value}/index.json`);
  const half = index.half, scale = 256 / (2 * half);
  const plane = L.extend({}, L.CRS.Simple, { transformation: new L.Transformation(scale, 128, -scale, 128) });
  if (map) map.remove();
  map = L.map("map", { crs: plane, maxZoom: index.deepest + 3, attributionControl: false, zoomAnimation: false });
  const boxes = Object.entries(index.tiles).map(([name, [w, s, e, n]]) =>
    L.rectangle([[s, w], [n, e]], { color: "#7d93a3", weight: 1, fill: false, interactive: false }));
  const outline = L.featureGroup(boxes).addTo(map);
  controls.tile.replaceChildren(made("option", { value: "" }, "all"),
    ...Object.keys(index.tiles).map((name) => made("option", { value: name }, name)));
  map.createPane("earlier").style.zIndex = 250;
  L.control.scale({ imperial: false }).addTo(map);
  const count = index.days.length;
  controls.day.max = Math.max(0, count - 1);
  const chosen = index.days.findIndex((each) => each.day === wanted.day);
  controls.day.value = chosen >= 0 ? chosen : count - 1;
  controls.before.replaceChildren(...index.days.map(({ day }) => made("option", { value: day }, day)));
  if (wanted.before) { controls.before.value = wanted.before; controls.compare.checked = true; }
  map.on("moveend zoomend", remember);
  map.on("move", clip);
  map.on("click", (event) => history_at(event.latlng));
  map.getContainer().addEventListener("keydown", (event) => { if (event.key === "Enter") history_at(map.getCenter()); });
  if (wanted.z !== undefined) map.setView([Number(wanted.y), Number(wanted.x)], Number(wanted.z));
  else map.fitBounds(outline.getBounds(), { animate: false });
  after = earlier = null;
  show();
}

function go_to_tile() {
  const chosen = controls.tile.value ? [index.tiles[controls.tile.value]] : Object.values(index.tiles);
  const [w, s, e, n] = [0, 1, 2, 3].map((edge) => (edge < 2 ? Math.min : Math.max)(...chosen.map((box) => box[edge])));
  map.fitBounds([[s, w], [n, e]]);
}

function show() {
  const when = day();
  at("shown").textContent = when ? `${when}: tiles with a new map: ${index.days[Number(controls.day.value)].maps}` : "no maps yet";
  legend();
  if (when) {
    const options = { tileSize: 256, minZoom: 0, maxNativeZoom: index.deepest, maxZoom: index.deepest + 3,
      opacity: controls.opacity.value / 100, noWrap: true, keepBuffer: 1,
      bounds: [[-index.half, -index.half], [index.half, index.half]] };
    after = replaced(after, address(when), options);
    const compared = controls.compare.checked;
    at("beforebox").hidden = !compared;
    if (compared) earlier = replaced(earlier, address(controls.before.value), { ...options, pane: "earlier" });
    else if (earlier) { gone(earlier); earlier.remove(); earlier = null; }
    clip();
  }
  remember();
}

// The new pictures come above the old ones, which go when they are loaded: playing does not flicker.
function replaced(old, url, options) {
  if (old && old.options.address === url) return old.setOpacity(options.opacity);
  const layer = L.tileLayer(url, { ...options, address: url, replaces: old });
  layer.once("load", () => gone(layer));
  return layer.addTo(map);
}

function gone(layer) {
  for (let old = layer.options.replaces; old; old = old.options.replaces) old.remove();
  layer.options.replaces = null;
}

function clip() {
  const pane = map.getPane("earlier"), size = map.getSize(), corner = map.containerPointToLayerPoint([0, 0]);
  const x = size.x * controls.divider.value / 100;
  pane.style.clip = `rect(${corner.y}px, ${corner.x + x}px, ${corner.y + size.y}px, ${corner.x}px)`;
  if (after) {
    const left = controls.compare.checked ? corner.x + x : corner.x;
    const box = after.getContainer();
    if (box) box.style.clip = `rect(${corner.y}px, ${corner.x + size.x}px, ${corner.y + size.y}px, ${left}px)`;
  }
}

function legend() {
  const ramp = index.ramps[controls.layer.value];
  const lines = controls.layer.value === "true_colour" ? [] : ramp
    ? [made("li", {}, made("span", { class: "ramp", background: `linear-gradient(90deg, ${ramp.low}, ${ramp.high})` }),
        `${ramp.first} to ${ramp.last} ${{ age: "days", conf: "%", n_valid: "acquisitions" }[controls.layer.value]}`)]
    : Object.entries(index.classes).filter(([code]) => code < 200 || code === "254").map(([, each]) =>
        made("li", {}, made("span", { class: "swatch", background: each.colour }), each.name));
  at("legend").replaceChildren(...lines);
}

function remember() {
  const { lat, lng } = map.getCenter();
  const view = { region: controls.region.value, layer: controls.layer.value, day: day() ?? "",
    opacity: controls.opacity.value, x: lng.toFixed(0), y: lat.toFixed(0), z: map.getZoom() };
  if (controls.compare.checked) view.before = controls.before.value;
  const hash = `#${new URLSearchParams(view)}`;
  history.replaceState(null, "", hash);
  at("link").href = location.pathname + hash;
}

async function history_at({ lat: y, lng: x }) {
  if (!day()) return;
  const question = ++asked;
  at("history").replaceChildren(made("p", { class: "faint" }, "Reading ..."));
  try {
    const found = await json(`map/${controls.region.value}/${day()}/pixel.json?x=${x.toFixed(1)}&y=${y.toFixed(1)}`);
    if (question === asked) at("history").replaceChildren(...told(found));
  } catch (error) {
    at("history").replaceChildren(made("p", { class: "bad" }, `The history cannot be read: ${error.message}`));
  }
}

function told(found) {
  const where = made("p", {}, `${found.latitude.toFixed(5)}, ${found.longitude.toFixed(5)}`);
  if (!found.maps.length) return [where, made("p", { class: "faint" }, "No map holds this pixel up to this day.")];
  return [where, plot(found), table(found)];
}

const colour = (code) => index.classes[code]?.colour ?? "transparent";
const name = (code) => index.classes[code]?.name ?? "not seen";

// Two strips of classes (labels above, maps below) over the probability of the map's class.
function plot(found) {
  const times = [...found.labels, ...found.maps].map((each) => Date.parse(each.at));
  const first = Math.min(...times), span = Math.max(...times) - first || 1, wide = 320;
  const x = (when) => 4 + (wide - 12) * (Date.parse(when) - first) / span;
  const image = made("svg", { viewBox: `0 0 ${wide} 126`, role: "img",
    "aria-label": "Classes of labels and maps over time, and the maps' confidence" });
  const strip = (rows, y) => rows.map((each) => made("rect", { x: x(each.at), y, width: 5, height: 14,
    fill: colour(each.class), stroke: "#8899a5", "stroke-width": .5 },
    made("title", {}, `${each.at.slice(0, 16)} ${name(each.class)}`)));
  const line = found.maps.filter((each) => each.conf !== null).map((each) => `${x(each.at) + 2.5},${122 - .4 * each.conf}`);
  image.append(made("text", { x: 4, y: 9 }, "labels"), ...strip(found.labels, 13),
    made("text", { x: 4, y: 39 }, "map"), ...strip(found.maps, 43), made("text", { x: 4, y: 71 }, "confidence, 0 to 100 %"),
    made("polyline", { points: line.join(" "), fill: "none", stroke: "#1f6feb", "stroke-width": 1.5 }));
  return image;
}

function table(found) {
  const label = Object.fromEntries(found.labels.map((each) => [each.at, each.class]));
  const head = made("tr", {}, ...["time (UTC)", "map", "label"].map((word) => made("th", { scope: "col" }, word)),
    ...["age, d", "conf, %"].map((word) => made("th", { scope: "col", class: "number" }, word)));
  const short = (code) => (code === null ? "not seen" : name(code).split(/[ ,]/)[0]);
  const rows = [...found.maps].reverse().map((each) => made("tr", {},
    made("td", {}, each.at.slice(0, 16).replace("T", " ")), made("td", {}, short(each.class)),
    made("td", {}, each.at in label ? short(label[each.at]) : ""),
    made("td", { class: "number" }, each.age ?? ""), made("td", { class: "number" }, each.conf ?? "")));
  return made("table", {}, made("thead", {}, head), made("tbody", {}, ...rows));
}

function step() {
  controls.day.value = (Number(controls.day.value) + 1) % index.days.length;
  show();
  const next = () => { playing = setTimeout(step, 700); };
  if (after.isLoading()) after.once("load", () => playing && next()); else next();
}

function toggle_play() {
  if (playing) { clearTimeout(playing); playing = null; } else if (index.days.length > 1) { playing = setTimeout(step, 0); }
  controls.play.textContent = playing ? "Stop" : "Play";
  controls.play.setAttribute("aria-pressed", Boolean(playing));
}

function failed(error) {
  at("shown").textContent = `The region cannot be shown: ${error.message}`;
}

controls.region.addEventListener("change", () => { for (const key in wanted) delete wanted[key]; open_region().catch(failed); });
for (const name of ["layer", "opacity", "compare", "before", "day"]) controls[name].addEventListener("input", show);
controls.tile.addEventListener("input", go_to_tile);
controls.divider.addEventListener("input", clip);
controls.play.addEventListener("click", toggle_play);
open_region().catch(failed);
