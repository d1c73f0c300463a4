// Paints a photograph in the style of a painting: onnxruntime-web runs the model that
// `stylebeam export --format onnx` wrote. Another model: index.html?model=paper.onnx
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

// More threads need headers that a plain server does not send.
ort.env.wasm.numThreads = 1;

const LEAST = 16; // pixels a side, which the network's reflection takes
const find = (id) => document.getElementById(id);
const model = new URLSearchParams(location.search).get("model") ?? "default.onnx";

function say(text) {
  find("message").textContent = text;
}

// Draws a file's picture on a canvas, its longest side at most `size` (0: as it is).
async function show(file, canvas, size) {
  const picture = await createImageBitmap(file);
  const longest = Math.max(picture.width, picture.height);
  const scale = size ? Math.min(1, size / longest) : 1;
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white"; // under a picture that is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (Math.min(canvas.width, canvas.height) < LEAST) {
    throw new Error(`${file.name}: expected at least ${LEAST} pixels a side, found ` +
      `${canvas.width} x ${canvas.height}`);
  }
}

// float32 RGB [1, height, width, 3] in [0, 1] of what a canvas shows.
function tensorOf(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const values = new Float32Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      values[3 * pixel + channel] = data[4 * pixel + channel] / 255;
    }
  }
  return new ort.Tensor("float32", values, [1, height, width, 3]);
}

function draw(image, canvas) {
  const [, height, width] = image.dims;
  canvas.width = width;
  canvas.height = height;
  const pixels = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      // A clamped array rounds by itself.
      pixels.data[4 * pixel + channel] = image.data[3 * pixel + channel] * 255;
    }
    pixels.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

async function paint(session) {
  const size = Number(find("size").value);
  await show(find("content").files[0], find("content-picture"), size);
  await show(find("style").files[0], find("style-picture"), size);
  const start = performance.now();
  const { image } = await session.run({
    content: tensorOf(find("content-picture")),
    style: tensorOf(find("style-picture")),
    alpha: new ort.Tensor("float32", [Number(find("alpha").value)], []),
  });
  draw(image, find("result"));
  find("save").href = find("result").toDataURL("image/png");
  find("save").hidden = false;
  say(`Painted in ${((performance.now() - start) / 1000).toFixed(1)} seconds.`);
}

async function begin() {
  const session = await ort.InferenceSession.create(model);
  say("Choose a photograph and a painting.");
  const button = find("paint");
  const ready = () => {
    button.disabled = !(find("content").files[0] && find("style").files[0]);
  };
  find("content").addEventListener("change", ready);
  find("style").addEventListener("change", ready);
  find("alpha").addEventListener("input", () => {
    find("strength").textContent = find("alpha").value;
  });
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say("Painting …");
    try {
      await paint(session);
    } catch (error) {
      say(`This did not work: ${error.message}`);
    }
    ready();
  });
  ready();
}

begin().catch((error) => {
  say(`${model} could not be loaded (${error.message}). Write it with: ` +
    `stylebeam export --bundle default --format onnx --output ${model}`);
});
