#!/usr/bin/env node
// Layers of ONNX Runtime, in one thread. The graphs are written here, with the weights as constants,
// so that the library can bring them into its own order before anything is timed. It is called
// through its binding, which returns when the graph has run, without a promise around it.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const ENGINE = 'onnxruntime';
const WARM_UP_CALLS = 8; // of a stream, as in bench/run/stream.c
const STREAM_INPUTS = 16;
const FLOAT = 1, INT8 = 3, INT64 = 7; // TensorProto.DataType
const OPSETS = [['', 23], ['com.microsoft', 1]];

// ---- .npy files of float32 ----------------------------------------------------------------------

function readNpy(file) {
  const bytes = fs.readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8);
  const shape = /'shape': \(([^)]*)\)/.exec(bytes.toString('latin1', 10, start))[1];
  const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
  return {data, dims: shape.split(',').map((size) => size.trim()).filter(Boolean).map(Number)};
}

function writeNpy(file, data, dims) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dims.map((size) => `${size},`).join(' ')}), }`;
  const header = Buffer.alloc(128, ' ');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(118, 8);
  header.write(text, 10, 'latin1');
  header.write('\n', 127, 'latin1');
  fs.writeFileSync(file, Buffer.concat([header, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]));
}

// ---- models: the part of onnx.proto that is used ------------------------------------------------

const FIELDS = {
  ModelProto: {ir_version: [1, 'int64'], graph: [7, 'GraphProto'], opset_import: [8, 'OperatorSetIdProto', 'repeated']},
  OperatorSetIdProto: {domain: [1, 'string'], version: [2, 'int64']},
  GraphProto: {node: [1, 'NodeProto', 'repeated'], name: [2, 'string'], initializer: [5, 'TensorProto', 'repeated'],
    input: [11, 'ValueInfoProto', 'repeated'], output: [12, 'ValueInfoProto', 'repeated']},
  NodeProto: {input: [1, 'string', 'repeated'], output: [2, 'string', 'repeated'], op_type: [4, 'string'],
    attribute: [5, 'AttributeProto', 'repeated'], domain: [7, 'string']},
  AttributeProto: {name: [1, 'string'], f: [2, 'float'], i: [3, 'int64'], ints: [8, 'int64', 'repeated'], type: [20, 'int32']},
  TensorProto: {dims: [1, 'int64', 'repeated'], data_type: [2, 'int32'], name: [8, 'string'], raw_data: [9, 'bytes']},
  ValueInfoProto: {name: [1, 'string'], type: [2, 'TypeProto']},
  TypeProto: {tensor_type: [1, 'TensorType']},
  TensorType: {elem_type: [1, 'int32'], shape: [2, 'TensorShapeProto']},
  TensorShapeProto: {dim: [1, 'Dimension', 'repeated']},
  Dimension: {dim_value: [1, 'int64']},
};

function messages(protobuf) {
  const nested = Object.fromEntries(Object.entries(FIELDS).map(([name, fields]) => [name, {
    fields: Object.fromEntries(Object.entries(fields).map(([field, [id, type, rule]]) => [field, {id, type, rule}]))}]));
  return protobuf.Root.fromJSON({nested});
}

function attribute(name, value) {
  if (Array.isArray(value)) return {name, ints: value, type: 7};
  return typeof value === 'object' ? {name, f: value.float, type: 1} : {name, i: value, type: 2};
}

// A graph that grows node by node; names of values are those of its nodes.
class Graph {
  constructor() {
    this.graph = {name: 'layer', node: [], initializer: [], input: [], output: []};
    this.names = 0;
  }

  value(name, dims) {
    return {name, type: {tensor_type: {elem_type: FLOAT, shape: {dim: dims.map((size) => ({dim_value: size}))}}}};
  }

  input(name, dims) {
    this.graph.input.push(this.value(name, dims));
    return name;
  }

  // Of a list of whole numbers, a Float32Array or an Int8Array.
  constant(data, dims) {
    const name = `constant_${this.names++}`;
    const array = Array.isArray(data) ? new BigInt64Array(data.map(BigInt)) : data;
    const type = {BigInt64Array: INT64, Float32Array: FLOAT, Int8Array: INT8}[array.constructor.name];
    this.graph.initializer.push({name, dims, data_type: type,
      raw_data: new Uint8Array(array.buffer, array.byteOffset, array.byteLength)});
    return name;
  }

  // The name of the first output, or those of all.
  node(op, input, {domain = '', outputs = 1, ...attributes} = {}) {
    const output = Array.from({length: outputs}, () => `value_${this.names++}`);
    this.graph.node.push({op_type: op, input, output, domain,
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value))});
    return outputs === 1 ? output[0] : output;
  }

  output(name, value, dims) {
    this.graph.node.find((node) => node.output.includes(value)).output = this.graph.node
      .find((node) => node.output.includes(value)).output.map((one) => (one === value ? name : one));
    for (const node of this.graph.node) node.input = node.input.map((one) => (one === value ? name : one));
    this.graph.output.push(this.value(name, dims));
  }

  bytes(root) {
    const model = root.lookupType('ModelProto');
    return model.encode(model.create({ir_version: 10, graph: this.graph,
      opset_import: OPSETS.map(([domain, version]) => ({domain, version}))})).finish();
  }
}

// ---- recurrent layers ---------------------------------------------------------------------------

// Equal parts of an array, in another order: gates as the operators have them.
function inOrder(data, order) {
  const part = data.length / order.length, out = new Float32Array(data.length);
  order.forEach((from, to) => out.set(data.subarray(from * part, (from + 1) * part), to * part));
  return out;
}

const GATES = {rnn: [0], lstm: [0, 3, 1, 2], gru: [1, 0, 2]};
const OPS = {rnn: 'RNN', lstm: 'LSTM', gru: 'GRU'};

// The inputs and attributes of an operator, from its weights W, U and bias.
function inFloats(graph, order, {size, H, In}, t) {
  return {op: OPS, weights: [graph.constant(inOrder(t.W.data, order), [1, size, In]),
    graph.constant(inOrder(t.U.data, order), [1, size, H])], behind: [], domain: ''};
}

// W[out,in] as whole numbers from -127 to 127, one scale for each out: transposed, and the scales.
function quantised(data, rows, columns) {
  const whole = new Int8Array(data.length), scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let largest = 1e-30;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, Math.abs(data[r * columns + c]));
    scales[r] = largest / 127;
    for (let c = 0; c < columns; c++) whole[c * rows + r] = Math.round(data[r * columns + c] / scales[r]);
  }
  return {whole, scales, zeros: new Int8Array(rows)};
}

function inWholeNumbers(graph, order, {size, H, In}, t) {
  const parts = [[t.W.data, In], [t.U.data, H]].map(([data, columns]) => ({columns, ...quantised(inOrder(data, order), size, columns)}));
  return {op: {lstm: 'DynamicQuantizeLSTM'}, weights: parts.map(({whole, columns}) => graph.constant(whole, [1, columns, size])),
    behind: ['', ...parts.flatMap(({scales, zeros}) => [graph.constant(scales, [1, size]), graph.constant(zeros, [1, size])])],
    domain: 'com.microsoft'};
}

function recurrent(stored) {
  return (graph, layer, {S, H, B, In}, t) => {
    const order = GATES[layer], size = order.length * H, bias = new Float32Array(2 * size);
    bias.set(inOrder(t.b.data, order));
    if (t.bn) bias.set(t.bn.data, 2 * size - H);
    let x = graph.input('x', B > 1 ? [B, S, In] : [S, 1, In]); // of one sequence it is the same
    if (B > 1) x = graph.node('Transpose', [x], {perm: [1, 0, 2]});
    const states = layer === 'lstm' ? ['h0', 'c0'] : ['h0'];
    const more = layer === 'gru' ? {linear_before_reset: 1} : {};
    const {op, weights, behind, domain} = stored(graph, order, {size, H, In}, t);
    const [y, ...last] = graph.node(op[layer], [x, ...weights, graph.constant(bias, [1, 2 * size]), '',
      ...states.map((name) => graph.input(name, [1, B, H])), ...behind],
    {domain, hidden_size: H, outputs: 1 + states.length, ...more});
    if (B > 1) {
      const apart = graph.node('Transpose', [y], {perm: [2, 0, 1, 3]});
      graph.output('y', graph.node('Reshape', [apart, graph.constant([B, S, H], [3])]), [B, S, H]);
    } else {
      graph.output('y', y, [S, 1, B, H]);
    }
    ['h_last', 'c_last'].slice(0, states.length).forEach((name, i) => graph.output(name, last[i], [1, B, H]));
    return {states: {h0: 'h_last', ...(layer === 'lstm' && {c0: 'c_last'})}};
  };
}

// ---- the Transformer block ----------------------------------------------------------------------

function transposed({data, dims: [rows, columns]}) {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}

function linear(graph, rows, weights, bias) {
  return graph.node('Gemm', [rows, graph.constant(weights.data, weights.dims), graph.constant(bias.data, bias.dims)], {transB: 1});
}

// The same with weights of int8; what they multiply is rounded to 8 bits at each call.
function linearInWholeNumbers(graph, rows, {data, dims: [out, into]}, bias) {
  const {whole, scales, zeros} = quantised(data, out, into);
  return graph.node('DynamicQuantizeMatMul', [rows, graph.constant(whole, [into, out]), graph.constant(scales, [out]),
    graph.constant(zeros, [out]), graph.constant(bias.data, [out])], {domain: 'com.microsoft'});
}

function reshaped(graph, value, dims) {
  return graph.node('Reshape', [value, graph.constant(dims, [dims.length])]);
}

// softmax(q k^T / sqrt(D)) v of all heads, rows[B S,H], from the standard operators.
function attendByOps(graph, x, {S, H, A, B}, t, map) {
  const qkv = reshaped(graph, map(graph, reshaped(graph, x, [B * S, H]), t.Wqkv, t.bqkv), [B, S, 3, A, H / A]);
  const parts = graph.node('Split', [graph.node('Transpose', [qkv], {perm: [2, 0, 3, 1, 4]})], {axis: 0, num_outputs: 3, outputs: 3});
  const [q, k, v] = parts.map((part) => reshaped(graph, part, [B, A, S, H / A]));
  const scale = graph.constant(new Float32Array([Math.sqrt(A / H)]), []);
  const scores = graph.node('MatMul', [graph.node('Mul', [q, scale]), graph.node('Transpose', [k], {perm: [0, 1, 3, 2]})]);
  const context = graph.node('MatMul', [graph.node('Softmax', [scores], {axis: -1}), v]);
  return reshaped(graph, graph.node('Transpose', [context], {perm: [0, 2, 1, 3]}), [B * S, H]);
}

// The same in one operator of ONNX, from opset 23 on.
function attendStandard(graph, x, {S, H, A, B}, t, map) {
  const qkv = map(graph, reshaped(graph, x, [B * S, H]), t.Wqkv, t.bqkv);
  const parts = graph.node('Split', [qkv], {axis: 1, num_outputs: 3, outputs: 3}).map((part) => reshaped(graph, part, [B, S, H]));
  return reshaped(graph, graph.node('Attention', parts, {q_num_heads: A, kv_num_heads: A}), [B * S, H]);
}

// The same in one of the library's own operators.
function attendMultiHead(graph, x, {S, H, A, B}, t, map) {
  const qkv = map(graph, reshaped(graph, x, [B * S, H]), t.Wqkv, t.bqkv);
  const parts = graph.node('Split', [qkv], {axis: 1, num_outputs: 3, outputs: 3}).map((part) => reshaped(graph, part, [B, S, H]));
  return reshaped(graph, graph.node('MultiHeadAttention', parts, {domain: 'com.microsoft', num_heads: A}), [B * S, H]);
}

// Its older one, with the projections in it.
function attendFused(graph, x, {S, H, A, B}, t) {
  const weights = graph.constant(transposed(t.Wqkv), [H, 3 * H]), bias = graph.constant(t.bqkv.data, [3 * H]);
  return reshaped(graph, graph.node('Attention', [x, weights, bias], {domain: 'com.microsoft', num_heads: A}), [B * S, H]);
}

function block(attend, map = linear) {
  return (graph, _layer, sizes, t) => {
    const {S, H, B} = sizes, x = graph.input('x', [B, S, H]);
    const norm = (value, n) => graph.node('LayerNormalization', [value, graph.constant(t[`ln${n}_g`].data, [H]),
      graph.constant(t[`ln${n}_b`].data, [H])], {axis: -1, epsilon: {float: 1e-5}});
    const mixed = map(graph, attend(graph, x, sizes, t, map), t.Wo, t.bo);
    const first = norm(graph.node('Add', [reshaped(graph, x, [B * S, H]), mixed]), 1);
    const hidden = graph.node('Relu', [map(graph, first, t.W1, t.b1)]);
    const last = norm(graph.node('Add', [first, map(graph, hidden, t.W2, t.b2)]), 2);
    graph.output('y', reshaped(graph, last, [B, S, H]), [B, S, H]);
    return {states: {}};
  };
}

// What a call costs when next to nothing is in it.
function identity(graph) {
  graph.output('y', graph.node('Identity', [graph.input('x', [1])]), [1]);
  return {states: {}};
}

const INT8_ENGINE = {engine: 'onnxruntime-int8', weights: 'int8', tolerance: 5e-2};
const KERNELS = [
  {layer: 'rnn', method: 'ONNX operator RNN', build: recurrent(inFloats), sizes: ['input']},
  {layer: 'lstm', method: 'ONNX operator LSTM', build: recurrent(inFloats), sizes: ['input']},
  {layer: 'gru', method: 'ONNX operator GRU', build: recurrent(inFloats), sizes: ['input']},
  {layer: 'transformer', variant: 'operators', method: 'MatMul, Softmax, Gemm, LayerNormalization', build: block(attendByOps)},
  {layer: 'transformer', variant: 'attention', method: 'ONNX operator Attention', build: block(attendStandard)},
  {layer: 'transformer', variant: 'multi_head', method: 'operator com.microsoft.MultiHeadAttention', build: block(attendMultiHead)},
  {layer: 'transformer', variant: 'fused', method: 'operator com.microsoft.Attention', build: block(attendFused)},
  {layer: 'lstm', ...INT8_ENGINE, method: 'operator com.microsoft.DynamicQuantizeLSTM', build: recurrent(inWholeNumbers), sizes: ['input']},
  {layer: 'transformer', ...INT8_ENGINE, method: 'operators com.microsoft.DynamicQuantizeMatMul and MultiHeadAttention',
    build: block(attendMultiHead, linearInWholeNumbers)},
  {layer: 'roof/empty', variant: 'identity', method: 'ONNX operator Identity of one number: the overhead of a call', build: identity},
];

// ---- a case -------------------------------------------------------------------------------------

class Case {
  constructor(library, request) {
    const {layer, engine, variant, folder, sizes} = request;
    const {build} = KERNELS.find((kernel) => kernel.layer === layer && (kernel.engine ?? ENGINE) === engine && kernel.variant === variant);
    const names = {S: sizes.seq_len, H: sizes.hid_size, A: sizes.heads, B: sizes.batch, In: sizes.input || sizes.hid_size};
    const tensors = {};
    for (const file of fs.readdirSync(folder)) tensors[path.parse(file).name] = readNpy(path.join(folder, file));
    tensors.x ??= {data: new Float32Array([1]), dims: [1]};
    const graph = new Graph();
    this.states = build(graph, layer, names, tensors).states;
    this.session = new library.InferenceSession();
    const bytes = graph.bytes(library.root);
    this.session.loadModel(bytes.buffer, bytes.byteOffset, bytes.byteLength, {
      intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
      extra: {session: {set_denormal_as_zero: request.flush_to_zero ? '1' : '0'}},
    });
    const {Tensor} = library;
    const tensor = ({name, type}, data) => new Tensor('float32', data,
      type.tensor_type.shape.dim.map(({dim_value: size}) => size));
    const room = (value) => new Float32Array(value.type.tensor_type.shape.dim.reduce((all, {dim_value: size}) => all * size, 1));
    this.feeds = Object.fromEntries(graph.graph.input.map((value) =>
      [value.name, tensor(value, tensors[value.name] ? tensors[value.name].data : room(value))]));
    this.fetches = Object.fromEntries(graph.graph.output.map((value) => [value.name, tensor(value, room(value))]));
  }

  run() {
    this.session.run(this.feeds, this.fetches, {});
  }

  // From the state behind the last call.
  step(x) {
    this.feeds.x.data.set(x);
    this.run();
    for (const [before, behind] of Object.entries(this.states)) this.feeds[before].data.set(this.fetches[behind].data);
  }

  release() {
    this.session.dispose();
  }
}

// ---- the lines, see README.md -------------------------------------------------------------------

const now = () => Number(process.hrtime.bigint());

function usage() {
  const used = process.resourceUsage();
  return {voluntary_switches: used.voluntaryContextSwitches, involuntary_switches: used.involuntaryContextSwitches,
    minor_faults: used.minorPageFault, major_faults: used.majorPageFault,
    cpu_ns: 1e3 * (used.userCPUTime + used.systemCPUTime), wall_ns: now()};
}

function since(before) {
  const after = usage();
  return Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

const ANSWERS = {
  load(peer, request) {
    peer.case?.release();
    peer.folder = request.folder;
    peer.case = new Case(peer.library, request);
    return {};
  },

  run(peer, {iterations}) {
    const before = usage();
    for (let i = 0; i < iterations; i++) peer.case.run();
    return since(before);
  },

  outputs(peer) {
    for (const [name, {data, dims}] of Object.entries(peer.case.fetches))
      writeNpy(path.join(peer.folder, `${name}.npy`), data, dims);
    return {};
  },

  stream(peer, {calls, ns}) {
    const {data} = peer.case.feeds.x, durations = [];
    const inputs = Array.from({length: STREAM_INPUTS}, () => Float32Array.from(data, () => 2 * Math.random() - 1));
    for (let i = 0; i < WARM_UP_CALLS; i++) peer.case.step(inputs[i]);
    const before = usage(), until = now() + ns;
    for (let i = 0; i < calls; i++) {
      const start = now();
      peer.case.step(inputs[i % STREAM_INPUTS]);
      const end = now();
      durations.push(end - start);
      if (end > until && i > 0) break;
    }
    const answer = since(before);
    writeNpy(path.join(peer.folder, 'durations.npy'), Float32Array.from(durations), [durations.length]);
    return {...answer, clock_ns: median(Array.from({length: 1001}, () => -(now() - now())))};
  },
};

function open() {
  const {binding, initOrt} = require('onnxruntime-node/dist/binding');
  const {Tensor} = require('onnxruntime-common');
  initOrt();
  return {InferenceSession: binding.InferenceSession, Tensor, root: messages(require('protobufjs'))};
}

function about() {
  const version = require('onnxruntime-node/package.json').version;
  const kernels = KERNELS.map(({build, ...kernel}) => ({engine: ENGINE, packing: 'before', ...kernel}));
  return {name: 'ONNX Runtime', version, threads: 1, node: process.version, kernels};
}

async function serve() {
  const say = (answer) => fs.writeSync(1, `${JSON.stringify(answer)}\n`);
  const peer = {};
  try {
    peer.library = open();
    say(about());
  } catch (error) {
    say({error: `${error.message.split('\n')[0]}; \`make deps-peers\` installs ONNX Runtime`});
    return;
  }
  for await (const line of readline.createInterface({input: process.stdin})) {
    const request = JSON.parse(line);
    try {
      say(ANSWERS[request.do](peer, request));
    } catch (error) {
      say({error: error.message});
    }
  }
}

serve();
