"use strict";
// The distilled model in plain JavaScript: MAR's encoder, decoder and head, the conversion to x0, and the KL decoder.
// No DOM here. Tensors are {data, shape} in C order, float32 in memory, sums in float64. Names of weights are the files'.
// Shapes: N positions, L = buffer + N, C token channels, D width, W head width; images are one, there is no batch.

const Student = (() => {
  const NORM_EPS = 1e-6, TIME_FEATURES = 256, MAX_PERIOD = 10000;

  /** {name: {data: Float32Array, shape}} from the page's base64 and its table {name: [offset in floats, shape]}. */
  function weightsFrom(base64, table) {
    const text = atob(base64.trim()), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const floats = new Float32Array(bytes.buffer), found = {};
    for (const [name, [offset, shape]] of Object.entries(table)) {
      const count = shape.reduce((a, b) => a * b, 1);
      found[name] = { data: floats.subarray(offset, offset + count), shape };
    }
    return found;
  }

  // --- layers ------------------------------------------------------------------------------------

  /** x (rows, in) -> (rows, out), by `name`.weight (out, in) and `name`.bias. */
  function linear(w, name, x, rows) {
    const weight = w[`${name}.weight`], bias = w[`${name}.bias`].data;
    const [out, wide] = weight.shape, y = new Float32Array(rows * out), k = weight.data;
    for (let r = 0; r < rows; r++) {
      for (let o = 0; o < out; o++) {
        let sum = bias[o];
        for (let i = 0, a = r * wide, b = o * wide; i < wide; i++) sum += x[a + i] * k[b + i];
        y[r * out + o] = sum;
      }
    }
    return y;
  }

  /** Over the last dimension; weight and bias only where there is a name. */
  function layerNorm(w, name, x, rows) {
    const wide = x.length / rows, y = new Float32Array(x.length);
    const scale = name && w[`${name}.weight`].data, shift = name && w[`${name}.bias`].data;
    for (let r = 0, a = 0; r < rows; r++, a += wide) {
      let mean = 0, variance = 0;
      for (let i = 0; i < wide; i++) mean += x[a + i];
      mean /= wide;
      for (let i = 0; i < wide; i++) variance += (x[a + i] - mean) ** 2;
      const inverse = 1 / Math.sqrt(variance / wide + NORM_EPS);
      for (let i = 0; i < wide; i++) {
        const n = (x[a + i] - mean) * inverse;
        y[a + i] = name ? n * scale[i] + shift[i] : n;
      }
    }
    return y;
  }

  /** Abramowitz and Stegun 7.1.26; absolute error below 1.5e-7, float32's own. */
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const value = 1 - series * Math.exp(-x * x);
    return x < 0 ? -value : value;
  }

  const gelu = (x) => x.map((v) => 0.5 * v * (1 + erf(v * Math.SQRT1_2)));
  const silu = (x) => x.map((v) => v / (1 + Math.exp(-v)));
  const add = (a, b) => a.map((v, i) => v + b[i]);

  /** Self-attention of `rows` tokens: q, k, v (rows, D) -> (rows, D). */
  function attention(q, k, v, rows, heads) {
    const width = q.length / rows, size = width / heads, out = new Float32Array(q.length);
    const scores = new Float64Array(rows);
    for (let h = 0; h < heads; h++) {
      for (let r = 0; r < rows; r++) {
        let most = -Infinity, total = 0;
        for (let s = 0; s < rows; s++) {
          let dot = 0;
          for (let i = 0; i < size; i++) dot += q[r * width + h * size + i] * k[s * width + h * size + i];
          scores[s] = dot / Math.sqrt(size);
          most = Math.max(most, scores[s]);
        }
        for (let s = 0; s < rows; s++) total += scores[s] = Math.exp(scores[s] - most);
        for (let i = 0; i < size; i++) {
          let sum = 0;
          for (let s = 0; s < rows; s++) sum += scores[s] * v[s * width + h * size + i];
          out[r * width + h * size + i] = sum / total;
        }
      }
    }
    return out;
  }

  /** Pre-norm transformer block on (rows, D). */
  function block(w, name, x, rows, heads) {
    const width = x.length / rows;
    const qkv = linear(w, `${name}.attn.qkv`, layerNorm(w, `${name}.norm1`, x, rows), rows);
    const parts = [0, 1, 2].map((p) => {
      const part = new Float32Array(rows * width);
      for (let r = 0; r < rows; r++) {
        const from = r * 3 * width + p * width;
        part.set(qkv.subarray(from, from + width), r * width);
      }
      return part;
    });
    x = add(x, linear(w, `${name}.attn.proj`, attention(...parts, rows, heads), rows));
    const hidden = gelu(linear(w, `${name}.mlp.fc1`, layerNorm(w, `${name}.norm2`, x, rows), rows));
    return add(x, linear(w, `${name}.mlp.fc2`, hidden, rows));
  }

  // --- MAR ---------------------------------------------------------------------------------------

  /** Condition z (N, D) of every position, from tokens (N, C) at the ascending positions `known` and a class. */
  function conditions(w, config, tokens, known, label) {
    const width = config.width, channels = config.channels, buffer = config.buffer_tokens;
    const N = config.side * config.side, rows = buffer + known.length;
    const at = (data, row) => data.subarray(row * width, (row + 1) * width);
    const given = new Float32Array(known.length * channels);
    known.forEach((p, i) => given.set(tokens.subarray(p * channels, (p + 1) * channels), i * channels));
    const embedded = linear(w, "z_proj", given, known.length);
    const place = w.encoder_pos_embed_learned.data, classes = w["class_emb.weight"].data;
    let x = new Float32Array(rows * width);
    for (let b = 0; b < buffer; b++) x.set(add(at(classes, label), at(place, b)), b * width);
    known.forEach((p, i) => x.set(add(at(embedded, i), at(place, buffer + p)), (buffer + i) * width));
    x = layerNorm(w, "z_proj_ln", x, rows);
    for (let i = 0; i < config.encoder_blocks; i++) x = block(w, `encoder_blocks.${i}`, x, rows, config.heads);
    x = linear(w, "decoder_embed", layerNorm(w, "encoder_norm", x, rows), rows);

    let full = new Float32Array((buffer + N) * width);
    full.set(x.subarray(0, buffer * width));
    for (let p = 0; p < N; p++) full.set(w.mask_token.data, (buffer + p) * width);
    known.forEach((p, i) => full.set(at(x, buffer + i), (buffer + p) * width));
    full = add(full, w.decoder_pos_embed_learned.data);
    for (let i = 0; i < config.decoder_blocks; i++) {
      full = block(w, `decoder_blocks.${i}`, full, buffer + N, config.heads);
    }
    const z = layerNorm(w, "decoder_norm", full, buffer + N).subarray(buffer * width);
    return add(z, w.diffusion_pos_embed_learned.data);
  }

  /** x (1 + scale) + shift, row by row; `m` holds `parts` modulations of (W) for each row. */
  function modulate(x, m, rows, parts, shift, scale) {
    const wide = x.length / rows;
    return x.map((v, at) => {
      const r = Math.floor(at / wide), i = at % wide, from = r * parts * wide;
      return v * (1 + m[from + scale * wide + i]) + m[from + shift * wide + i];
    });
  }

  /** Noise prediction (rows, C) of the head for x_t (rows, C) at time t under z (rows, D). */
  function noisePrediction(w, config, x_t, t, z, rows) {
    const wide = config.head.width, channels = config.channels, half = TIME_FEATURES / 2;
    const features = new Float32Array(TIME_FEATURES);
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(t * Math.fround(Math.exp((-Math.log(MAX_PERIOD) * i) / half)));
      features[i] = Math.cos(angle);
      features[half + i] = Math.sin(angle);
    }
    const time = linear(w, "head.time_embed.mlp.2", silu(linear(w, "head.time_embed.mlp.0", features, 1)), 1);
    const y = silu(linear(w, "head.cond_embed", z, rows).map((v, i) => v + time[i % wide]));
    let x = linear(w, "head.input_proj", x_t, rows);
    for (let b = 0; b < config.head.blocks; b++) {
      const name = `head.res_blocks.${b}`;
      const m = linear(w, `${name}.adaLN_modulation.1`, y, rows);
      let h = modulate(layerNorm(w, `${name}.in_ln`, x, rows), m, rows, 3, 0, 1);
      h = linear(w, `${name}.mlp.2`, silu(linear(w, `${name}.mlp.0`, h, rows)), rows);
      x = x.map((v, at) => v + m[Math.floor(at / wide) * 3 * wide + 2 * wide + (at % wide)] * h[at]);
    }
    const m = linear(w, "head.final_layer.adaLN_modulation.1", y, rows);
    const out = linear(w, "head.final_layer.linear", modulate(layerNorm(w, "", x, rows), m, rows, 2, 0, 1), rows);
    const noise = new Float32Array(rows * channels);
    for (let r = 0; r < rows; r++) {
      noise.set(out.subarray(r * 2 * channels, r * 2 * channels + channels), r * channels);
    }
    return noise;
  }

  /** [alpha, sigma] of the cosine schedule with T = 1000 at time t (Nichol and Dhariwal 2021, equation 17). */
  function noiseLevel(t) {
    const f = (u) => Math.cos(((u + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
    let bar = 1;
    for (let i = 0; i <= t; i++) bar *= 1 - Math.min(1 - f((i + 1) / 1000) / f(i / 1000), 0.999);
    return [Math.sqrt(bar), Math.sqrt(1 - bar)];
  }

  /** How many of `unknown` tokens are masked after each of `steps` AR steps: MAR's cosine schedule. */
  function schedule(unknown, steps) {
    const counts = [];
    let before = unknown;
    for (let k = 0; k < steps - 1; k++) {
      const target = Math.floor(unknown * Math.cos(((Math.PI / 2) * (k + 1)) / steps));
      before = Math.max(1, Math.min(before - 1, target));
      counts.push(before);
    }
    return [...counts, 0];
  }

  /**
   * Tokens (N, C) of one image. `order`: a permutation of the positions, its end is revealed first; `start`: noise (N, C);
   * the last `knownCount` positions of the order are taken from `known` (N, C). `onStep(tokens, masked positions)` after each.
   */
  function* sample(student, label, order, start, steps, known = null, knownCount = 0) {
    const { weights, config } = student, { mar } = config, channels = mar.channels;
    const [alpha, sigma] = noiseLevel(config.one_step_t);
    const N = mar.side * mar.side, row = (data, p) => data.subarray(p * channels, (p + 1) * channels);
    let masked = N - knownCount;
    const tokens = new Float32Array(N * channels);
    for (const p of order.slice(masked)) tokens.set(row(known, p), p * channels);
    for (const after of schedule(masked, steps)) {
      const seen = order.slice(masked).sort((a, b) => a - b);
      const z = conditions(weights, mar, tokens, seen, label);
      const revealed = order.slice(after, masked), rows = revealed.length;
      const x_t = new Float32Array(rows * channels), condition = new Float32Array(rows * mar.width);
      revealed.forEach((p, i) => {
        x_t.set(row(start, p), i * channels);
        condition.set(z.subarray(p * mar.width, (p + 1) * mar.width), i * mar.width);
      });
      const noise = noisePrediction(weights, mar, x_t, config.one_step_t, condition, rows);
      const x0 = x_t.map((v, i) => (v - sigma * noise[i]) / alpha);
      revealed.forEach((p, i) => tokens.set(row(x0, i), p * channels));
      masked = after;
      yield { tokens: tokens.slice(), masked: order.slice(0, masked) };
    }
  }

  // --- the KL decoder: maps are {data, channels, side} -----------------------------------------------

  /** 3x3 with padding 1, or 1x1. */
  function conv(w, name, x) {
    const weight = w[`${name}.weight`], bias = w[`${name}.bias`].data;
    const [out, channels, size] = weight.shape, side = x.side, area = side * side, reach = (size - 1) / 2;
    const data = new Float32Array(out * area), sums = new Float64Array(area);
    for (let o = 0; o < out; o++) {
      sums.fill(bias[o]);
      for (let c = 0; c < channels; c++) {
        for (let ky = -reach; ky <= reach; ky++) {
          for (let kx = -reach; kx <= reach; kx++) {
            const k = weight.data[((o * channels + c) * size + ky + reach) * size + kx + reach];
            const left = Math.max(0, -kx), right = Math.min(side, side - kx);
            for (let y = Math.max(0, -ky); y < Math.min(side, side - ky); y++) {
              const from = c * area + (y + ky) * side + kx, to = y * side;
              for (let i = left; i < right; i++) sums[to + i] += k * x.data[from + i];
            }
          }
        }
      }
      data.set(sums, o * area);
    }
    return { data, channels: out, side };
  }

  function groupNorm(w, name, x, groups) {
    const area = x.side * x.side, each = x.channels / groups, data = new Float32Array(x.data.length);
    const scale = w[`${name}.weight`].data, shift = w[`${name}.bias`].data;
    for (let g = 0; g < groups; g++) {
      const from = g * each * area, to = from + each * area;
      let mean = 0, variance = 0;
      for (let i = from; i < to; i++) mean += x.data[i];
      mean /= to - from;
      for (let i = from; i < to; i++) variance += (x.data[i] - mean) ** 2;
      const inverse = 1 / Math.sqrt(variance / (to - from) + NORM_EPS);
      for (let i = from; i < to; i++) {
        const c = Math.floor(i / area);
        data[i] = (x.data[i] - mean) * inverse * scale[c] + shift[c];
      }
    }
    return { ...x, data };
  }

  function resnet(w, name, x, groups) {
    const half = (norm, convolution, y) => {
      const normed = groupNorm(w, `${name}.${norm}`, y, groups);
      return conv(w, `${name}.${convolution}`, { ...normed, data: silu(normed.data) });
    };
    const h = half("norm2", "conv2", half("norm1", "conv1", x));
    const through = `${name}.conv_shortcut.weight` in w ? conv(w, `${name}.conv_shortcut`, x) : x;
    return { ...h, data: add(through.data, h.data) };
  }

  /** (C, h w) <-> (h w, C). */
  function transposed(data, rows) {
    const columns = data.length / rows, out = new Float32Array(data.length);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
    return out;
  }

  function middleAttention(w, name, x, groups) {
    const rows = x.side * x.side, flat = transposed(groupNorm(w, `${name}.group_norm`, x, groups).data, x.channels);
    const parts = ["to_q", "to_k", "to_v"].map((part) => linear(w, `${name}.${part}`, flat, rows));
    const out = linear(w, `${name}.to_out.0`, attention(...parts, rows, 1), rows);
    return { ...x, data: add(x.data, transposed(out, rows)) };
  }

  function upsampled(x) {
    const side = 2 * x.side, data = new Float32Array(x.channels * side * side);
    for (let c = 0; c < x.channels; c++) {
      for (let y = 0; y < side; y++) {
        for (let i = 0; i < side; i++) {
          data[(c * side + y) * side + i] = x.data[(c * x.side + (y >> 1)) * x.side + (i >> 1)];
        }
      }
    }
    return { ...x, data, side };
  }

  /** p x p channels of a position become p x p positions of a channel. */
  function pixelShuffled(x, p) {
    const channels = x.channels / (p * p), side = x.side * p, data = new Float32Array(x.data.length);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < side; y++) {
        for (let i = 0; i < side; i++) {
          const from = (c * p + (y % p)) * p + (i % p);
          data[(c * side + y) * side + i] = x.data[(from * x.side + Math.floor(y / p)) * x.side + Math.floor(i / p)];
        }
      }
    }
    return { data, channels, side };
  }

  /** An image {data (channels, side, side) about [-1, 1] and not clipped, channels, side} from tokens (N, C). */
  function decode(student, tokens) {
    const { weights: w, config } = student, { tokenizer, mean, std } = config;
    const N = tokens.length / mean.length, groups = tokenizer.norm_groups;
    const latents = transposed(tokens.map((v, i) => v * std[i % mean.length] + mean[i % mean.length]), N);
    const tokenMap = { data: latents, channels: mean.length, side: Math.round(Math.sqrt(N)) };
    let x = pixelShuffled(tokenMap, tokenizer.patch);
    x = conv(w, "decoder.conv_in", conv(w, "post_quant_conv", x));
    x = resnet(w, "decoder.mid_block.resnets.0", x, groups);
    x = middleAttention(w, "decoder.mid_block.attentions.0", x, groups);
    x = resnet(w, "decoder.mid_block.resnets.1", x, groups);
    const levels = tokenizer.channels.length;
    for (let level = 0; level < levels; level++) {
      for (let i = 0; i <= tokenizer.layers_per_block; i++) {
        x = resnet(w, `decoder.up_blocks.${level}.resnets.${i}`, x, groups);
      }
      if (level < levels - 1) x = conv(w, `decoder.up_blocks.${level}.upsamplers.0.conv`, upsampled(x));
    }
    x = groupNorm(w, "decoder.conv_norm_out", x, groups);
    return conv(w, "decoder.conv_out", { ...x, data: silu(x.data) });
  }

  // --- randomness: the page's own, not numpy's ----------------------------------------------------------

  /** Uniform numbers in (0, 1) from a seed: mulberry32. */
  function uniform(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let x = Math.imul(state ^ (state >>> 15), state | 1);
      x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
      return (((x ^ (x >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
  }

  /** {permutation of N, start noise (N C)} of a seed. */
  function draws(seed, N, channels) {
    const next = uniform(seed), permutation = [...Array(N).keys()];
    for (let i = N - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [permutation[i], permutation[j]] = [permutation[j], permutation[i]];
    }
    const start = new Float32Array(N * channels);
    for (let i = 0; i < start.length; i++) {
      start[i] = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()); // Box and Muller
    }
    return { permutation, start };
  }

  /** Positions from the one revealed first to the last: raster row by row, centre-out by distance from the centre. */
  function fixedOrder(law, side) {
    const positions = [...Array(side * side).keys()], centre = (side - 1) / 2;
    const apart = (p) => (Math.floor(p / side) - centre) ** 2 + ((p % side) - centre) ** 2;
    return law === "centre-out" ? positions.sort((a, b) => apart(a) - apart(b) || b - a) : positions;
  }

  return { weightsFrom, sample, decode, draws, fixedOrder };
})();
